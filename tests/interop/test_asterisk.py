"""Real H.323: an Asterisk calls a full primary, follows to a member, and talks to another Asterisk through it."""

from __future__ import annotations

import re
import subprocess

from tests.interop.asterisk import ECHO, SIGNALLING_PORT, Asterisk, AsteriskTestCase
from tests.interop.group import TWISTD
from tests.interop.program import Program
from voipshift.demo.plan import KEY_FILE, LOOPBACK, plan
from voipshift.group import keys

CALLER, GATEWAY = "127.0.0.11", "127.0.0.12"
#: All ports are free in there.
BASE_PORT = 5060
#: Each door of a node has an address of its own, so that all have the port by which tshark knows H.323.
FRONT, ACCEPT, MEMBER_FRONT, MEMBER_ACCEPT = LOOPBACK, "127.0.0.2", "127.0.0.3", "127.0.0.4"
RAS_PORT = 1719
#: Whom the called side may be called by.
KNOWN = {"primary": FRONT, "member": MEMBER_FRONT}
#: RTP packets that each side must have had: half a second of voice.
ENOUGH = 25
#: A RELEASE COMPLETE within its TPKT, in the octets of a capture.
RELEASE_COMPLETE = re.compile(rb"\x03\x00..\x08\x02..\x5a", re.DOTALL)


class AsteriskTests(AsteriskTestCase):
    """The primary takes no call, so whatever is carried has been shifted."""

    needs = (*AsteriskTestCase.needs, "sipsak")

    async def start(self, gatekeeper: str = "DISABLE") -> tuple[Asterisk, Asterisk]:
        """Start all: who calls, and who is called."""
        await self.make_network()
        self.capture = self.run_inside(
            "tshark", "-q", "-i", "lo", "-w", "calls.pcap", "-f", f"port {SIGNALLING_PORT} or port {RAS_PORT}"
        )
        await self.until((self.folder / "calls.pcap").exists, "tshark writes")
        gateway = await self.start_asterisk("gateway", GATEWAY, KNOWN)
        self.nodes = await self.start_nodes()
        caller = await self.start_asterisk("caller", CALLER, {"primary": FRONT}, gatekeeper)
        return caller, gateway

    async def start_registered(self) -> tuple[Asterisk, Asterisk]:
        """The same with the primary for the caller's gatekeeper."""
        caller, gateway = await self.start(FRONT)
        await self.until_registered(caller)
        return caller, gateway

    async def until_registered(self, asterisk: Asterisk) -> None:
        """Wait until a gatekeeper has taken it."""

        async def registered() -> bool:
            return "Registered" in await asterisk.command("ooh323 show gk")

        await self.until(registered, f"{asterisk.name} is registered")

    async def start_nodes(self, prefix: str = "") -> list[Program]:
        """Start a primary without room and a member with some, and wait until they know of each other.

        :param prefix: of the numbers that go to the gateway
        """
        settings = [
            "primary.workload.ongoing_calls=0",
            "member1.workload.ongoing_calls=2",
            f"primary.h323.listen={FRONT}:{SIGNALLING_PORT}",
            f"primary.h323.accept={ACCEPT}:{SIGNALLING_PORT}",
            f"primary.h323.ras={FRONT}:{RAS_PORT}",
            f"member1.h323.listen={MEMBER_FRONT}:{SIGNALLING_PORT}",
            f"member1.h323.accept={MEMBER_ACCEPT}:{SIGNALLING_PORT}",
            f"member1.h323.ras={MEMBER_FRONT}:{RAS_PORT}",
            f'gateways=[{{ address = "{GATEWAY}:{SIGNALLING_PORT}", prefixes = ["{prefix}"], protocol = "h323" }}]',
            "registrar.min_expires_s=60",
        ]
        group = plan(nodes=2, offered=2, base_port=BASE_PORT, settings=settings)
        keys.make(str(self.folder / KEY_FILE))
        nodes = []
        for each in group.nodes:
            config = self.folder / f"{each.name}.toml"
            config.write_text(each.toml())
            nodes.append(self.run_inside(*TWISTD, "-n", "--pidfile=", "voipshift", "--config", str(config)))
        for host in (FRONT, MEMBER_ACCEPT):
            await self.listens(host, SIGNALLING_PORT)

        async def found() -> bool:
            """The primary's OPTIONS get 503 until it knows of a member that has room."""
            self.assertIsNone(nodes[0].status, nodes[0].output)
            return await self.run_inside("sipsak", "-s", f"sip:{LOOPBACK}:{BASE_PORT}").ends() == 0

        await self.until(found, "the primary knows the member")
        return nodes

    async def talk(self, caller: Asterisk, gateway: Asterisk, where: str) -> None:
        """Call, and hear each other."""
        await caller.call(where)
        await caller.until_calls("Up")
        await gateway.until_calls("Up")
        await self.until(lambda: min(caller.heard(), gateway.heard()) > ENOUGH, "RTP flows both ways")

    async def all_over(self, caller: Asterisk, gateway: Asterisk, released: int) -> list[str]:
        """Wait until nobody has a call any more.

        :param released: how many RELEASE COMPLETE there are at least, with that of a redirect
        :returns: each packet with H.225.0: where it went, and what tshark calls it
        """
        await caller.until_calls()
        await gateway.until_calls()
        for node in self.nodes:
            await node.close()
            self.assertNotIn("Traceback", node.output)
        file = self.folder / "calls.pcap"
        await self.until(
            lambda: len(RELEASE_COMPLETE.findall(file.read_bytes())) >= released, "tshark has seen the end"
        )
        await self.capture.close()
        self.assertEqual(self.tshark("-q", "-z", "expert,warn,h225 || q931 || h245").strip(), "")
        lines = self.tshark("-Y", "h225", "-T", "fields", "-e", "ip.dst", "-e", "_ws.col.Info")
        return [" ".join(line.split()) for line in lines.splitlines()]

    def tshark(self, *words: str) -> str:
        """What tshark tells of the capture; its complaints about itself are left out."""
        file = str(self.folder / "calls.pcap")
        done = subprocess.run(("tshark", "-n", "-r", file, *words), capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def assert_shifted(self, lines: list[str], *setups: str) -> None:
        """The SETUPs went there, one after the other."""
        self.assertEqual([line.split()[0] for line in lines if " setup" in line], list(setups), "\n".join(lines))

    async def test_caller_releases(self) -> None:
        """FACILITY sends the caller to the member; it ends the call, and the other side's ends too."""
        caller, gateway = await self.start()
        await self.talk(caller, gateway, f"{ECHO}@primary")
        await caller.hang_up()
        lines = await self.all_over(caller, gateway, 3)
        self.assert_shifted(lines, FRONT, MEMBER_ACCEPT, GATEWAY)

    async def test_called_releases(self) -> None:
        """The called side ends the call, and the caller's ends too."""
        caller, gateway = await self.start()
        await self.talk(caller, gateway, f"{ECHO}@primary")
        await gateway.hang_up()
        lines = await self.all_over(caller, gateway, 3)
        self.assert_shifted(lines, FRONT, MEMBER_ACCEPT, GATEWAY)

    async def test_a_registered_terminal_is_called(self) -> None:
        """One Asterisk registers with the primary; the other calls its number, and the member finds it."""
        await self.make_network()
        self.capture = self.run_inside(
            "tshark", "-q", "-i", "lo", "-w", "calls.pcap", "-f", f"port {SIGNALLING_PORT} or port {RAS_PORT}"
        )
        await self.until((self.folder / "calls.pcap").exists, "tshark writes")
        self.nodes = await self.start_nodes("9")
        terminal = await self.start_asterisk("gateway", GATEWAY, KNOWN, FRONT, ECHO)
        await self.until_registered(terminal)
        caller = await self.start_asterisk("caller", CALLER, {"primary": FRONT})
        await self.talk(caller, terminal, f"{ECHO}@primary")
        await caller.hang_up()
        lines = await self.all_over(caller, terminal, 3)
        self.assert_shifted(lines, FRONT, MEMBER_ACCEPT, GATEWAY)
        self.assertIn(f"{GATEWAY} RAS: admissionConfirm", lines)

    async def test_gatekeeper_caller_releases(self) -> None:
        """The caller's gatekeeper has no room, and its ACF names the member; the caller ends the call."""
        caller, gateway = await self.start_registered()
        await self.talk(caller, gateway, ECHO)
        await caller.hang_up()
        lines = await self.all_over(caller, gateway, 2)
        self.assertIn(f"{CALLER} RAS: admissionConfirm", lines)
        self.assert_shifted(lines, MEMBER_ACCEPT, GATEWAY)

    async def test_gatekeeper_called_releases(self) -> None:
        """The same, and the called side ends the call."""
        caller, gateway = await self.start_registered()
        await self.talk(caller, gateway, ECHO)
        await gateway.hang_up()
        lines = await self.all_over(caller, gateway, 2)
        self.assertIn(f"{CALLER} RAS: admissionConfirm", lines)
        self.assert_shifted(lines, MEMBER_ACCEPT, GATEWAY)
