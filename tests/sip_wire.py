"""What the tests of SIP share: messages as they are on the wire, and a layer whose time steps."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import TypeVar

from twisted.trial.unittest import SynchronousTestCase

from voipshift.sip.effects import Effect, Requested, Send
from voipshift.sip.layer import TransactionLayer
from voipshift.sip.message import Message, Request, Response, parse, request
from voipshift.sip.spent import TOGETHER_S
from voipshift.sip.timers import T4
from voipshift.sip.transaction import ClientTransaction, Hop, ServerTransaction

BODY = b"v=0\r\no=- 1 1 IN IP4 192.0.2.7\r\ns=-\r\n"


def wire(text: str, body: bytes = b"") -> bytes:
    """Octets of a message whose head is written one line each, blanks in front taken off, ``|`` where they matter."""
    lines = [line.strip().removeprefix("|") for line in text.strip().split("\n")]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


INVITE = wire(
    """
    INVITE sip:bob@192.0.2.1 SIP/2.0
    Via: SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bK1;rport
    Max-Forwards: 70
    From: "Alice" <sip:alice@192.0.2.7>;tag=a1
    To: <sip:bob@192.0.2.1>
    Call-ID: c1@192.0.2.7
    CSeq: 1 INVITE
    Contact: <sip:alice@192.0.2.7:5060>
    X-Unknown:  kept   as it is ;;,,
    Content-Length: 36
    """,
    BODY,
)
RINGING = wire(
    """
    SIP/2.0 180 Ringing
    Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKp, SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bK1;received=192.0.2.7
    Record-Route: <sip:192.0.2.1;lr>
    From: "Alice" <sip:alice@192.0.2.7>;tag=a1
    To: <sip:bob@192.0.2.1>;tag=b1
    Call-ID: c1@192.0.2.7
    CSeq: 1 INVITE
    """
)
# RFC 4475 3.1.1.1 in short: blanks and folding wherever they may be.
TORTUOUS = wire(
    """
    INVITE sip:vivekg@chair-dnrc.example.com;unknownparam SIP/2.0
    TO :
    | sip:vivekg@chair-dnrc.example.com ;   tag    = 1918181833n
    from   : "J Rosenberg \\\\\\""       <sip:jdrosen@example.com>
    |  ;
    |  tag = 98asjd8
    MaX-fOrWaRdS: 0068
    Call-ID: wsinv.ndaksdj@192.0.2.1
    Content-Length   : 36
    cseq: 0009
    |  INVITE
    Via  : SIP  /   2.0
    | /UDP
    |\t   192.0.2.2;branch=390skdjuw
    s :
    NewFangledHeader:   newfangled value
    | continued newfangled value
    UnknownHeaderWithUnusualValue: ;;,,;;,;
    Route:
    | <sip:services.example.com;lr;unknownwith=value;unknown-no-value>
    v:  SIP  / 2.0  / TCP     spindle.example.com   ;
    |  branch  =   z9hG4bK9ikj8  ,
    | SIP  /    2.0   / UDP  192.168.255.111   ; branch=
    | z9hG4bK30239
    m:"Quoted string \\"\\"" <sip:jdrosen@example.com> ; newparam =
    |      newvalue ;
    |  secondparam ; q = 0.33
    """,
    BODY,
)


def parsed(octets: bytes) -> Request:
    """Read a message that is a request."""
    message = parse(octets)
    assert isinstance(message, Request)
    return message


def answered(octets: bytes) -> Response:
    """Read a message that is a response."""
    message = parse(octets)
    assert isinstance(message, Response)
    return message


def changed(octets: bytes, *pairs: tuple[str, str]) -> bytes:
    """The same message with some text of its head replaced; each must be there."""
    for old, new in pairs:
        assert old.encode("latin-1") in octets, old
        octets = octets.replace(old.encode("latin-1"), new.encode("latin-1"))
    return octets


US = Hop("192.0.2.1", 5060)
CLIENT = Hop("192.0.2.7", 5060, 1)
GATEWAY = Hop("192.0.2.50", 5060, 2)

E = TypeVar("E")


def tokens(seed: int = 1) -> Callable[[int], str]:
    """Random octets in hexadecimal that are the same in each run."""
    draw = random.Random(seed)
    return lambda octets: draw.randbytes(octets).hex()


def made(
    method: str, *, branch: str = "z9hG4bK1", call: str = "c1", cseq: int = 1, to_tag: str = "", via: str = ""
) -> Request:
    """A request of a client, as it arrives."""
    fields = [
        ("Via", via or f"SIP/2.0/UDP 192.0.2.7:5060;branch={branch};rport"),
        ("Max-Forwards", "70"),
        ("From", '"Alice" <sip:alice@192.0.2.7>;tag=a1'),
        ("To", f"<sip:bob@192.0.2.1>{to_tag and ';tag='}{to_tag}"),
        ("Call-ID", call),
        ("CSeq", f"{cseq} {method}"),
        ("Route", "<sip:192.0.2.1;lr>"),
    ]
    message = parse(request(method, "sip:bob@192.0.2.1", fields).octets())
    assert isinstance(message, Request)
    return message


def sent(effects: list[Effect]) -> list[Message]:
    """The messages among the effects, read again."""
    return [parse(effect.octets) for effect in effects if isinstance(effect, Send)]


def statuses(effects: list[Effect]) -> list[int]:
    """The responses among the effects."""
    return [message.status for message in sent(effects) if isinstance(message, Response)]


def only(effects: list[Effect], kind: type[E]) -> E:
    """The one event among the effects, of that kind."""
    events = [effect for effect in effects if not isinstance(effect, Send)]
    assert len(events) == 1 and isinstance(events[0], kind), events
    return events[0]


class LayerTestCase(SynchronousTestCase):
    """A layer, and a time that steps from deadline to deadline."""

    def setUp(self) -> None:
        self.now = 0.0
        self.layer = TransactionLayer(random=tokens())

    def step(self, until: float) -> list[tuple[float, Effect]]:
        """Let time pass; say what was done, and when."""
        done: list[tuple[float, Effect]] = []
        while self.layer.next <= until:
            self.now = max(self.now, self.layer.next)
            done += [(self.now, effect) for effect in self.layer.due(self.now)]
        self.now = until
        return done

    def times(self, until: float = 100.0) -> tuple[list[float], list[tuple[float, str]]]:
        """Let time pass; say when something was sent, and when what else happened."""
        done = self.step(until)
        return (
            [when for when, effect in done if isinstance(effect, Send)],
            [(when, type(effect).__name__) for when, effect in done if not isinstance(effect, Send)],
        )

    def receive(self, message: Request, source: Hop = CLIENT) -> list[Effect]:
        """A request arrives."""
        return self.layer.receive_request(message, source, self.now)

    def invited(self, **parts: str) -> ServerTransaction:
        """An INVITE arrives, the first of its kind."""
        return only(self.receive(made("INVITE", **parts)), Requested).transaction  # type: ignore[arg-type]

    def respond(self, transaction: ServerTransaction, status: int, answered: Request | None = None) -> list[Effect]:
        """The transaction user responds."""
        response = (answered or transaction.request).response(status, to_tag="t1")
        return self.layer.respond(transaction, response, self.now)

    def call(self, method: str = "INVITE", *, reliable: bool = False) -> tuple[ClientTransaction, Request]:
        """The transaction user sends a request."""
        ours = made(method, via=f"SIP/2.0/UDP 192.0.2.1:5060;branch={self.layer.branch()}")
        transaction, effects = self.layer.request(ours, GATEWAY, self.now, reliable=reliable)
        self.assertEqual(effects, [Send(ours.octets(), GATEWAY)])
        return transaction, ours

    def answer(self, ours: Request, status: int, to_tag: str = "g1") -> list[Effect]:
        """The far end responds."""
        response = parse(ours.response(status, to_tag=to_tag).octets())
        assert isinstance(response, Response)
        return self.layer.receive_response(response, GATEWAY, self.now)

    def assert_spent(self, request: Request) -> None:
        """What comes again of a request is ignored for T4, and soon after that nothing is known of it."""
        acknowledged = self.now
        self.assertEqual(self.step(acknowledged + T4), [])
        self.assertEqual(self.receive(request), [])
        self.assertEqual(self.step(acknowledged + T4 + TOGETHER_S), [])
        self.assertFalse(self.layer.is_known(request.transaction_key))
        self.assert_over()

    def assert_over(self) -> None:
        """Nothing is left, and nothing is scheduled."""
        self.step(self.now + 1000)
        self.assertEqual((len(self.layer), len(self.layer.timers), self.layer.next), (0, 0, math.inf))


def made_slow(size: int) -> list[tuple[str, str]]:
    """What to replace in INVITE, and by what, so that a message of about that many octets takes the most time."""
    return [
        ("kept", "k" * size),
        ("X-Unknown:", "X: y\r\n" * (size // 6) + "X:"),
        ("X-Unknown:", "X:\r\n" + " \r\n" * (size // 3) + "X:"),
        ("X-Unknown:", "Contact: " + "<" * size + "\r\nX:"),
        (";rport", ";a" + " " * size),
        (";rport", "".join(f";p{number}" for number in range(size // 7))),
        (";rport", ",SIP/2.0/UDP a" * (size // 16)),
        ('"Alice"', '"' + "\\" * size),
        (";tag=a1", ";a=b" * (size // 4)),
        ("X-Unknown:", ":" * size),
        ("INVITE", "I" * size),
        ("bob", "b " * (size // 2)),
    ]
