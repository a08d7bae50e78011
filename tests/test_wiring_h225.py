"""The H.323 side of a node as its settings name it: keys, doors, gateways, ports."""

from __future__ import annotations

import socket
from pathlib import Path

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.h323_messages import ALIASES, PLAIN_SETUP_OCTETS, TERMINAL
from tests.h323net import HERE, STRANGER, Network, Peer, Place, attach
from voipshift import config, configfile
from voipshift.errors import ConfigurationError
from voipshift.h323 import ras
from voipshift.h323.q931 import MessageType
from voipshift.h323.registration import RegistrationReject, RegistrationRequest
from voipshift.h323.server import Server
from voipshift.h323.uuie import PROTOCOL
from voipshift.node import Address
from voipshift.tap import Node
from voipshift.wiring.doors import identity_of, listeners_of
from voipshift.wiring.gateways import plan_of
from voipshift.wiring.parts import Present
from voipshift.wiring.ras import Ras

NODE = """
[node]
name = "one"
advertise = "192.0.2.7"
[[sip.listen]]
transport = "udp"
address = "127.0.0.1:{sip}"
[workload]
ongoing_calls = 2
[[gateways]]
address = "192.0.2.20:5060"
[[gateways]]
address = "192.0.2.21:1720"
protocol = "h323"
"""
H323 = """
[h323]
listen = "127.0.0.1:{front}"
accept = "127.0.0.1:{accept}"
"""


class H225TestCase(SynchronousTestCase):
    """A folder for configuration files."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir()

    def load(self, text: str) -> config.Settings:
        """The settings of a file."""
        file = self.folder / "node.toml"
        file.write_text(text)
        return configfile.load(str(file))


class SettingsTests(H225TestCase):
    """``[h323]``, and the protocol of a gateway."""

    def settings(self) -> config.Settings:
        """Of a node with both protocols."""
        return self.load((NODE + H323).format(sip=5060, front=1720, accept=1721))

    def test_doors(self) -> None:
        """Reports name both ports as others reach them; those of SIP come first."""
        settings = self.settings()
        doors = identity_of(settings, listeners_of(settings)).doors
        self.assertEqual(
            list(doors.items()),
            [
                ("sip/udp", ("192.0.2.7", 5060)),
                ("h323", ("192.0.2.7", 1720)),
                ("h323/accept", ("192.0.2.7", 1721)),
            ],
        )

    def test_accept_port(self) -> None:
        """Is 1721 at the host of the front port, where nothing else is said; it may not be the front port itself."""
        text = (NODE + '[h323]\nlisten = "127.0.0.1:{front}"').format
        settings = self.load(text(sip=5060, front=1720))
        self.assertEqual(settings.h323.accept, ("127.0.0.1", 1721))
        error = self.assertRaises(ConfigurationError, self.load, text(sip=5060, front=1721))
        assert isinstance(error, ConfigurationError)
        self.assertEqual(error.key, "h323.accept")

    def test_gatekeeper(self) -> None:
        """RAS is a door of its own, which alternates are known by."""
        settings = self.load((NODE + H323 + 'ras = "127.0.0.1:1719"').format(sip=5060, front=1720, accept=1721))
        self.assertEqual(identity_of(settings, listeners_of(settings)).doors["h323/ras"], ("192.0.2.7", 1719))

    def test_gateways(self) -> None:
        """Calls of a protocol go to its own."""
        settings = self.settings()
        for protocol, address in {"sip": ("192.0.2.20", 5060), "h323": ("192.0.2.21", 1720)}.items():
            plan = plan_of(settings, protocol)
            self.assertEqual([gateway.address for gateway in plan.route(plan.number("1234"))], [address])

    def test_wrong(self) -> None:
        """No front port, ports that meet, a gateway of H.323 without the ports."""
        whole = NODE + H323
        for text, key in (
            (whole.replace("{accept}", "{front}"), "h323.accept"),
            (whole.replace('listen = "127.0.0.1:{front}"', ""), "h323.listen"),
            (NODE + '[h323]\nras = "127.0.0.1:1719"', "h323.listen"),
            (whole + 'ras = "127.0.0.1:{sip}"', "h323.ras"),
            (NODE, "gateways[1].protocol"),
        ):
            error = self.assertRaises(ConfigurationError, self.load, text.format(sip=5060, front=1720, accept=1721))
            assert isinstance(error, ConfigurationError)
            self.assertEqual(error.key, key)


class PortTests(H225TestCase):
    """Ports that are opened before the node runs."""

    def test_taken(self) -> None:
        """One line that names the key; nothing stays open."""
        taken = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(taken.close)
        sip, front = free(), free()
        settings = self.load((NODE + H323).format(sip=sip, front=front, accept=taken.getsockname()[1]))
        error = self.assertRaises(ConfigurationError, Node, settings, Clock())
        assert isinstance(error, ConfigurationError)
        self.assertEqual(error.key, "h323.accept")
        socket.create_server(("127.0.0.1", front)).close()


class AccessTests(H225TestCase):
    """Who may call, as ``[access]`` says it; the ports are bound, and nothing runs."""

    def told(self, access: str, setup: bytes = PLAIN_SETUP_OCTETS, calls: int = 1) -> list[str]:
        """What a stranger hears in answer to his last SETUP."""
        network = Network()
        text = (NODE + H323 + "[access]\n" + access).format(sip=free(), front=free(), accept=free())
        side = Node(self.load(text), network).h323
        assert isinstance(side, Present) and isinstance(side._server, Server)
        self.addCleanup(side.stop)
        for _ in range(calls):
            ours, theirs = network.pair((HERE, 1720), STRANGER)
            attach(ours, side._server.accept(True, Place(*STRANGER)))
            phone = Peer(network, theirs)
            phone.say(setup)
        said = [(each.message.type, each.message.cause) for each in phone.told()]
        phone.hang_up()
        return [f"{MessageType(type).name} {cause}" for type, cause in said]

    def test_strangers(self) -> None:
        """Are refused, securityDenied, unless the node is open: then it looks for the gateway, which is not there."""
        self.assertEqual(self.told(""), ["RELEASE_COMPLETE 31"])
        self.assertEqual(self.told("open = true"), ["RELEASE_COMPLETE 3"])
        self.assertEqual(self.told(f'trusted = ["{STRANGER[0]}"]'), ["RELEASE_COMPLETE 3"])

    def test_too_many(self) -> None:
        """Beyond their rate, which five seconds of it may exceed, they are refused with another cause."""
        self.assertEqual(self.told("open = true\nrequests_per_second = 1", calls=6), ["RELEASE_COMPLETE 47"])


class GatekeeperTests(H225TestCase):
    """Who may register, as ``[access]`` says it; the port is bound, and nothing runs."""

    def answers(self, access: str, place: Address = STRANGER, requests: int = 1) -> list[str]:
        """What a stranger hears who registers at a place, the last time that he asks; nothing where he is not heard."""
        text = NODE + H323 + f'ras = "127.0.0.1:{free()}"\n[access]\n' + access
        side = Node(self.load(text.format(sip=free(), front=free(), accept=free())), Clock()).h323
        assert isinstance(side, Present) and isinstance(side._ras, Ras)
        self.addCleanup(side.stop)
        sent: list[bytes] = []
        side._ras._gatekeeper._send = lambda octets, to: sent.append(octets)
        for number in range(1, requests + 1):
            sent.clear()
            request = RegistrationRequest(number, PROTOCOL, True, (place,), (STRANGER,), TERMINAL, "phone", ALIASES)
            side._ras._port._received(ras.encode(request), STRANGER)
        answers = [ras.decode(octets) for octets in sent]
        return [each.reject_reason.reason if isinstance(each, RegistrationReject) else "" for each in answers]

    def test_strangers(self) -> None:
        """Are refused, unless the node is open and has no users, for then it knows everybody by his password."""
        self.assertEqual(self.answers(""), ["securityDenial"])
        self.assertEqual(self.answers("open = true"), [""])
        (self.folder / "users").touch(0o600)
        self.assertEqual(self.answers('open = true\nrealm = "r"\nusers = "users"'), ["securityDenial"])

    def test_too_many(self) -> None:
        """Beyond their rate, which five seconds of it may exceed, they are not heard."""
        self.assertEqual(self.answers("open = true\nrequests_per_second = 1", requests=6), [])


def free() -> int:
    """A port that nobody has."""
    with socket.create_server(("127.0.0.1", 0)) as opened:
        port: int = opened.getsockname()[1]
        return port
