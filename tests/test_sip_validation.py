"""What a request must satisfy before anything is done for it."""

from __future__ import annotations

from collections.abc import Iterable

from twisted.trial.unittest import SynchronousTestCase

from voipshift.sip.message import Request, request
from voipshift.sip.validation import loop_digest, objection, objection_of_server

OURS = frozenset((("192.0.2.1", 5060), ("192.0.2.1", 5067)))


def invite(
    uri: str = "sip:100@192.0.2.1", fields: Iterable[tuple[str, str]] = (), vias: Iterable[str] = (), **changed: str
) -> Request:
    """A request with these fields, and more Via below the first one."""
    lines = {
        "Max-Forwards": "70",
        "From": "<sip:a@x>;tag=1",
        "To": "<sip:b@x>",
        "Call-ID": "c",
        "CSeq": "1 INVITE",
        **{name.replace("_", "-"): value for name, value in changed.items()},
    }
    below = [("Via", f"SIP/2.0/UDP {via}") for via in ("198.51.100.7:5060;branch=z9hG4bK1", *vias)]
    return request(lines["CSeq"].split()[1], uri, [*below, *lines.items(), *fields])


class ObjectionTest(SynchronousTestCase):
    """RFC 3261 section 16.3."""

    def status(self, asked: Request) -> int | None:
        """The status of what is wrong with a request."""
        wrong = objection(asked, OURS)
        return None if wrong is None else wrong.status

    def test_nothing_is_wrong(self) -> None:
        """sip, sips and tel, in any case, with any number of hops left or none said."""
        for uri in ("sip:b@x", "SIP:b@x", "sips:b@x", "tel:+1", "TEL:+1"):
            self.assertIsNone(self.status(invite(uri)), uri)
        for left in ("1", "70", "255"):
            self.assertIsNone(self.status(invite(Max_Forwards=left)))
        without = invite()
        without.remove("Max-Forwards")
        self.assertIsNone(self.status(without))

    def test_a_scheme_that_is_not_ours_is_416(self) -> None:
        """Item 2: a Request-URI that the proxy does not understand."""
        for uri in ("mailto:b@x", "http://x/", "im:b@x", "sipx:b@x", "h323:b@x"):
            self.assertEqual(self.status(invite(uri)), 416, uri)

    def test_no_hop_left_is_483(self) -> None:
        """Item 3: MUST NOT be forwarded; OPTIONS outside a dialog is for this node."""
        self.assertEqual(self.status(invite(Max_Forwards="0")), 483)
        self.assertIsNone(self.status(invite(Max_Forwards="0", CSeq="1 OPTIONS")))
        self.assertEqual(self.status(invite(Max_Forwards="0", CSeq="1 OPTIONS", To="<sip:b@x>;tag=2")), 483)

    def test_an_extension_of_proxies_that_is_demanded_is_420(self) -> None:
        """Item 5: Unsupported lists what is not understood."""
        wrong = objection(invite(fields=[("Proxy-Require", "sec-agree, foo"), ("Proxy-Require", "bar")]), OURS)
        self.assertEqual(wrong, (420, (("Unsupported", "sec-agree, foo, bar"),)))

    def test_require_is_not_a_proxys_business(self) -> None:
        """It is for the far end (8.2.2.3); a node minds it only where it answers itself."""
        asked = invite(fields=[("Require", "100rel, timer")])
        self.assertIsNone(self.status(asked))
        self.assertEqual(objection_of_server(asked), (420, (("Unsupported", "100rel, timer"),)))
        self.assertIsNone(objection_of_server(invite()))


class LoopTest(SynchronousTestCase):
    """Section 16.3 item 4."""

    def back(
        self, first: Request, by: str = "192.0.2.1:5060", uri: str = "sip:100@192.0.2.1", **changed: str
    ) -> Request:
        """What comes back of a request that left this node with its digest in the branch."""
        return invite(uri, (), [f"{by};branch=z9hG4bKours{loop_digest(first)}"], **changed)

    def test_one_that_comes_back_unchanged_is_482(self) -> None:
        """By either port, and however many hops lie between."""
        for by in ("192.0.2.1:5060", "192.0.2.1:5067", "192.0.2.1"):
            wrong = objection(self.back(invite(), by), OURS)
            self.assertEqual(wrong and wrong.status, 482, by)
        far = invite(vias=["x;branch=z9hG4bK2", f"192.0.2.1;branch=z9hG4bK{loop_digest(invite())}", "y;branch=1"])
        wrong = objection(far, OURS)
        self.assertEqual(wrong and wrong.status, 482)

    def test_a_spiral_is_none(self) -> None:
        """What the routing sees has changed: Request-URI, Route, Call-ID, tags or CSeq."""
        spirals = [
            self.back(invite(), uri="sip:200@192.0.2.1"),
            self.back(invite(), Call_ID="another"),
            self.back(invite(), From="<sip:a@x>;tag=2"),
            self.back(invite(), To="<sip:a@x>;tag=2"),
            self.back(invite(), CSeq="2 INVITE"),
            self.back(invite(fields=[("Route", "<sip:x;lr>")])),
        ]
        for spiral in spirals:
            self.assertIsNone(objection(spiral, OURS), spiral)

    def test_another_nodes_branch_is_none(self) -> None:
        """Somebody else's Via says nothing, whatever its branch ends with."""
        self.assertIsNone(objection(self.back(invite(), "192.0.2.2:5060"), OURS))
        self.assertIsNone(objection(self.back(invite(), "192.0.2.1:5061"), OURS))

    def test_the_top_via_is_the_senders(self) -> None:
        """A request with one Via has been nowhere yet."""
        first = invite()
        first.set("Via", f"SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK{loop_digest(first)}")
        self.assertIsNone(objection(first, OURS))
