"""sipp places 300 calls at the primary, 100 a second, and follows each 302 to the node that accepted."""

from __future__ import annotations

import os
import re
import signal
from collections import Counter
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.defer import Deferred

from tests.interop.case import InteropTestCase
from tests.interop.group import Group, free_ports, is_free, own_gateway, serve, through
from tests.interop.program import PATIENCE_S, Program
from voipshift.demo.gateway import Gateway
from voipshift.node import Address
from voipshift.sip.transaction import ServerTransaction
from voipshift.udp import open_port

SCENARIOS = Path(__file__).resolve().parent / "scenarios"
CALLS = 300
RATE = 100
#: About a hundred calls stand at once: the primary has room for a tenth of them, each member for all.
LIMITS = {"primary": 10, "member1": 150, "member2": 150}


class Carriers(Gateway):
    """The demo's gateway, which counts the calls by the node that brought them."""

    def __init__(self) -> None:
        super().__init__(reactor)
        self.calls: Counter[Address] = Counter()
        self._enough: tuple[Address, int, Deferred[None]] | None = None

    def carried(self, by: Address, calls: int) -> Deferred[None]:
        """Wait until that node has brought so many calls."""
        enough: Deferred[None] = Deferred()
        self._enough = (by, calls, enough)
        return enough.addTimeout(PATIENCE_S, reactor)

    def requested(self, transaction: ServerTransaction) -> None:
        request = transaction.request
        if request.method == "INVITE" and request.to_tag is None:
            self.calls[request.via.host, request.via.port or 5060] += 1
            if self._enough is not None:
                by, calls, enough = self._enough
                if self.calls[by] == calls:
                    self._enough = None
                    enough.callback(None)
        super().requested(transaction)


class Fates:
    """What the caller's scenario logged of each call.

    :ivar redirected: the place that a call was sent to by a 302, by the call's number
    :ivar completed: the numbers of the calls that were answered and ended by a confirmed BYE
    """

    def __init__(self, log: str) -> None:
        self.redirected = {int(call): place for call, place in re.findall(r"redirected (\d+) (\S+)", log)}
        self.completed = {int(call) for call in re.findall(r"completed (\d+)", log)}

    @property
    def lost(self) -> set[int]:
        """The calls that did not end as they should."""
        return set(range(1, CALLS + 1)) - self.completed


class SippTests(InteropTestCase):
    """300 calls through a group of three."""

    needs = ("sipp",)

    def caller(self, group: Group, *words: str) -> Program:
        """Start the calls."""
        host, port = group.client
        scenario = ["-sf", str(SCENARIOS / "caller.xml"), "-t", "u1", "-s", "1234", "-m", str(CALLS), "-r", str(RATE)]
        scenario += ["-i", host, "-p", str(port), "-nostdin", "-trace_logs", "-log_file", "caller.log"]
        scenario += ["-trace_err", "-error_file", "errors.log"]
        return self.run_program("sipp", *scenario, *words, group.primary.sip)

    def fates(self) -> Fates:
        """Of a caller that ended."""
        return Fates((self.folder / "caller.log").read_text())

    async def gateway(self, address: Address) -> Program:
        """Start a sipp that answers so many calls and ends."""
        host, port = address
        scenario = ["-sf", str(SCENARIOS / "gateway.xml"), "-m", str(CALLS), "-i", host, "-p", str(port), "-nostdin"]
        program = self.run_program("sipp", *scenario, "-trace_err", "-error_file", "gateway-errors.log")
        await self.until(lambda: not is_free(port), "the gateway listens")
        return program

    async def test_calls_are_shifted_and_none_is_lost(self) -> None:
        """A primary that is full shifts what it cannot carry; each call is answered and ended, sipp at both ends."""
        base_port = free_ports()
        gateway = await self.gateway(own_gateway(base_port))
        group = await serve(self, base_port, LIMITS, through(own_gateway(base_port)))
        caller = self.caller(group)
        await caller.succeeds(patience_s=40.0)
        fates = self.fates()
        self.assertEqual(fates.lost, set())
        self.assertEqual(set(fates.redirected.values()), {member.sip for member in group.members})
        self.assertGreater(len(fates.redirected), CALLS / 2)
        self.assertGreaterEqual(
            CALLS - len(fates.redirected), LIMITS["primary"], "the primary carried less than it can"
        )
        await gateway.succeeds()

    async def test_a_killed_member_costs_only_its_own_calls(self) -> None:
        """Every call is answered and ended, but those that the dead member carried or that were on their way to it.

        Both kinds had been redirected to it.  The calls that asked it in vain are none of those: they go to another.
        """
        group, carriers = await self.counted_group()
        killed, other = group.members
        caller = self.caller(group, "-recv_timeout", "5000")
        await carriers.carried(address_of(killed.sip), 40)
        os.kill(killed.pid, signal.SIGKILL)
        before = carriers.calls[address_of(other.sip)]
        status = await caller.ends(patience_s=40.0)
        fates = self.fates()
        self.assertEqual(status, 1, "no call was lost: the member was killed too late")
        self.assertEqual({fates.redirected.get(call) for call in fates.lost}, {killed.sip})
        self.assertGreater(carriers.calls[address_of(other.sip)], before + CALLS / 4, "too few calls came afterwards")

    async def test_a_killed_primary_costs_no_call_that_was_shifted(self) -> None:
        """A call that was redirected does not need the primary any more."""
        group, carriers = await self.counted_group()
        caller = self.caller(group, "-recv_timeout", "2000")
        await carriers.carried(address_of(group.members[0].sip), 40)
        os.kill(group.primary.pid, signal.SIGKILL)
        await caller.ends(patience_s=40.0)
        fates = self.fates()
        self.assertGreaterEqual(len(fates.redirected), 40)
        self.assertEqual(fates.lost & fates.redirected.keys(), set())

    async def counted_group(self) -> tuple[Group, Carriers]:
        """Bring up a group and a gateway that counts who brings its calls."""
        carriers = Carriers()
        base_port = free_ports()
        port = open_port(own_gateway(base_port), carriers.received)
        self.addCleanup(port.stop)
        self.addCleanup(carriers.stop)
        carriers.begin(port.send, port.address)
        port.start(reactor)
        return await serve(self, base_port, LIMITS, through(port.address)), carriers


def address_of(text: str) -> Address:
    """The address in ``127.0.0.1:5060``."""
    host, _, port = text.rpartition(":")
    return host, int(port)
