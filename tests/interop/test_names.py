"""A carrier that is known by its domain name: a DNS of the test's own on loopback, and two sipp for its servers, one of
which is killed and comes back; and a Kamailio for its proxy over TLS.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.names import authority, dns, server

from tests.certificates import Authority
from tests.interop.case import InteropTestCase
from tests.interop.group import Group, free_ports, is_free, own_gateway, serve
from tests.interop.kamailio import Certificates, kamailio
from tests.interop.program import Program
from tests.interop.test_kamailio import TLS_OFFSET, UDP_OFFSET
from tests.interop.test_transports import listeners
from voipshift.demo.plan import LOOPBACK
from voipshift.node import Address
from voipshift.sip.dns import Dns
from voipshift.sip.locate import Naptr, Question, Srv
from voipshift.udp import open_port

SCENARIOS = Path(__file__).resolve().parent / "scenarios"
DOMAIN = "carrier.test"
CALLS = 20
RATE = 20
#: Seconds between two OPTIONS: the least that can be set.
WATCH_S = 5


class Carrier(authority.FileAuthority):
    """The carrier's zone.

    :param one: the port of its first server, over UDP
    :param two: that of its second one
    :param secure: that of its proxy over TLS; None where it has none
    """

    def __init__(self, one: int, two: int, secure: int | None) -> None:
        prefix = f"_sip._udp.{DOMAIN}"
        start: Any = dns.Record_SOA(DOMAIN, f"admin.{DOMAIN}", minimum=1)
        address = dns.Record_A(LOOPBACK, 60)
        records: dict[str, list[Any]] = {
            DOMAIN: [
                start,
                dns.Record_NAPTR(10, 10, b"s", b"SIP+D2T", b"", f"_sip._tcp.{DOMAIN}", 60),
                dns.Record_NAPTR(20, 10, b"s", b"SIP+D2U", b"", prefix, 60),
            ],
            prefix: [dns.Record_SRV(1, 0, one, f"one.{DOMAIN}", 60), dns.Record_SRV(2, 0, two, f"two.{DOMAIN}", 60)],
            f"one.{DOMAIN}": [address],
            f"two.{DOMAIN}": [address],
            f"media.{DOMAIN}": [address],
        }
        if secure is not None:
            tls = f"_sips._tcp.{DOMAIN}"
            records[DOMAIN].append(dns.Record_NAPTR(5, 10, b"s", b"SIPS+D2T", b"", tls, 60))
            records[tls] = [dns.Record_SRV(1, 0, secure, f"proxy.{DOMAIN}", 60)]
            records[f"proxy.{DOMAIN}"] = [address]
        self._zone = {name.encode(): found for name, found in records.items()}
        self._start = start
        super().__init__("")

    def loadFile(self, filename: object) -> None:
        """In place of reading it."""
        self.soa: Any = (DOMAIN.encode(), self._start)
        self.records: Any = self._zone


class NameTests(InteropTestCase):
    """Calls to the carrier."""

    needs = ("sipp", "kamailio")

    def setUp(self) -> None:
        super().setUp()
        self.base_port = free_ports()
        host, port = own_gateway(self.base_port)
        self.one, self.two = (host, port), (host, port + 1)

    def serve_dns(self, secure: int | None = None) -> str:
        """Start the DNS.

        :param secure: the port of the carrier's proxy over TLS
        :returns: the setting that names it
        """
        factory = server.DNSServerFactory(authorities=[Carrier(self.one[1], self.two[1], secure)])
        sockets: Any = reactor
        self.dns = sockets.listenUDP(0, dns.DNSDatagramProtocol(factory), interface=LOOPBACK)
        self.addCleanup(self.dns.stopListening)
        return f'dns.servers=["{LOOPBACK}:{self.resolver[1]}"]'

    @property
    def resolver(self) -> Address:
        """Where the DNS listens."""
        return LOOPBACK, self.dns.getHost().port

    async def gateway(self, address: Address, name: str) -> Program:
        """Start one of the carrier's servers."""
        host, port = address
        words = ["-sf", str(SCENARIOS / "watched.xml"), "-i", host, "-p", str(port), "-nostdin"]
        program = self.run_program("sipp", *words, "-trace_logs", "-log_file", f"{name}.log")
        await self.until(lambda: not is_free(port), f"{name} listens")
        return program

    async def calls(self, group: Group, name: str) -> None:
        """Place calls, all of which have to be answered and ended."""
        host, port = group.client
        words = ["-sf", str(SCENARIOS / "caller.xml"), "-t", "u1", "-s", "0301234", "-m", str(CALLS), "-r", str(RATE)]
        words += ["-i", host, "-p", str(port), "-nostdin", "-trace_logs", "-log_file", f"{name}.log"]
        await self.run_program("sipp", *words, group.primary.sip).succeeds(patience_s=40.0)
        self.assertEqual(len(re.findall("completed", (self.folder / f"{name}.log").read_text())), CALLS)

    def taken(self, name: str) -> int:
        """The calls that a server has taken."""
        log = self.folder / f"{name}.log"
        asked = re.findall(r"INVITE (\S+)", log.read_text()) if log.exists() else []
        self.assertEqual(set(asked) - {f"sip:+49301234@{DOMAIN}"}, set())
        return len(asked)

    async def test_a_server_of_the_carrier_dies_and_comes_back(self) -> None:
        """No call is lost: they go to the other server, at once when the first is known to be gone, and back; none of
        those that went elsewhere reaches the first one when it is back.

        The carrier gets international numbers, and answers with a Contact that is a name, too.
        """
        first = await self.gateway(self.one, "one")
        await self.gateway(self.two, "two")
        settings = [
            f'gateways=[{{ address = "{DOMAIN}", send = "e164" }}]',
            'dialplan={ country = "49" }',
            self.serve_dns(),
            f"calls.watch_interval_s={WATCH_S}",
        ]
        group = await serve(self, self.base_port, {"primary": 100, "member1": 100}, *settings)
        log = Path(group.primary.config).with_suffix(".log")
        await self.calls(group, "before")
        self.assertEqual((self.taken("one"), self.taken("two")), (CALLS, 0))
        first.kill("KILL")
        await first.ends()
        gone = f"gateway {DOMAIN} at {LOOPBACK}:{self.one[1]}/udp: does not answer, and is skipped"
        await self.calls(group, "without")
        self.assertEqual(self.taken("two"), CALLS)
        self.assertIn(gone, log.read_text())
        (self.folder / "one.log").unlink()
        await self.gateway(self.one, "one")
        back = f"gateway {DOMAIN} at {LOOPBACK}:{self.one[1]}/udp: answers again"
        await self.until(lambda: back in log.read_text(), "the first server is back")
        await self.calls(group, "after")
        self.assertEqual((self.taken("one"), self.taken("two")), (CALLS, CALLS))

    async def test_what_is_asked_and_answered(self) -> None:
        """Records of each type, a name that there is not, and a name that is none."""
        self.serve_dns()
        asker = Dns(reactor, [self.resolver], open_port)
        found, ttl_s = await asker.ask(Question(DOMAIN, "NAPTR"))
        self.assertEqual(
            sorted(found),
            [
                Naptr(10, 10, "s", "SIP+D2T", f"_sip._tcp.{DOMAIN}"),
                Naptr(20, 10, "s", "SIP+D2U", f"_sip._udp.{DOMAIN}"),
            ],
        )
        self.assertEqual(ttl_s, 60.0)
        found, _ = await asker.ask(Question(f"_sip._udp.{DOMAIN}", "SRV"))
        ports = [port for _, port in (self.one, self.two)]
        self.assertEqual(sorted(found), [Srv(1, 0, ports[0], f"one.{DOMAIN}"), Srv(2, 0, ports[1], f"two.{DOMAIN}")])
        self.assertEqual(await asker.ask(Question(f"one.{DOMAIN}", "A")), ((LOOPBACK,), 60.0))
        for name in (f"one.{DOMAIN}", f"nobody.{DOMAIN}", "a" * 64, "a..b"):
            self.assertEqual((await asker.ask(Question(name, "AAAA")))[0], (), name)

    async def test_over_tls(self) -> None:
        """DNS says that the carrier wants TLS, and where; its certificate names the domain alone (RFC 5922)."""
        secure = self.base_port + TLS_OFFSET
        setting = self.serve_dns(secure)
        host, port = self.one  # behind the proxy, which knows nothing of this DNS
        words = ["-sf", str(SCENARIOS / "gateway.xml"), "-m", str(CALLS), "-i", host, "-p", str(port), "-nostdin"]
        gateway = self.run_program("sipp", *words)
        await self.until(lambda: not is_free(port), "the gateway listens")
        authority = Authority()
        shown = Certificates(*authority.write(self.folder, "carrier", f"sip:{DOMAIN}"))
        await kamailio(
            self,
            self.base_port + UDP_OFFSET,
            f"{LOOPBACK}:{self.one[1]}",
            tls_port=secure,
            certificates=shown,
        )
        own = zip(
            ("certificate", "private_key", "authorities"), authority.write(self.folder, "node", LOOPBACK), strict=True
        )
        settings = [
            setting,
            f'gateways=[{{ address = "{DOMAIN}", send = "e164" }}]',
            'dialplan={ country = "49" }',
            *listeners(self.base_port, "tls")[:2],
            *(f"sip.tls.{name}={file}" for name, file in own),
        ]
        group = await serve(self, self.base_port, {"primary": 100, "member1": 100}, *settings)
        await self.calls(group, "calls")
        await gateway.succeeds()
