"""What every store of records promises, as one suite; and a thread that works when the test says so."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import Deferred

from voipshift.balance.reason import Reason
from voipshift.calls.record import Record
from voipshift.node import CallAttempt, Load
from voipshift.store.recordrow import RecordArchive

NOON = 1_700_000_000.0
WAY = (
    Load("primary", 0, 0, 1.0, 5.0, reason=Reason.FULL),
    Load("member", 0, 0, 0.25, 100.0, reason=Reason.BELOW_THRESHOLD),
)
CALL = Record(
    attempt="07" * 16,
    node="member",
    call_id="a84b4c76e66710@pc33.example.com",
    door="sip/udp",
    caller="sip:alice@example.com",
    callee="1234",
    client=("2001:db8::1", 5060),
    entry="primary",
    path=WAY,
    accepted="member",
    gateway=("192.0.2.20", 5060),
    began=NOON,
    alerted=NOON + 0.5,
    answered=NOON + 2.25,
    ended=NOON + 62.25,
    code=200,
    octets=960_000,
)
SHIFTED = CALL._replace(
    node="primary", gateway=None, began=NOON - 0.25, alerted=None, answered=None, ended=NOON, code=302, octets=None
)
REFUSED = SHIFTED._replace(
    attempt="08" * 16, call_id="other", path=WAY[:1], accepted="", ended=NOON + 10, code=503, began=NOON + 10
)
#: As it is where records begin.
ATTEMPT = CallAttempt(
    b"\7" * 16, "sip/udp", CALL.caller, CALL.callee, "sip:1234@example.com", CALL.client, call_id=CALL.call_id
)


class RecordStoreTests:
    """The suite; a TestCase mixes it in and says how a store is opened.  Two stores are two nodes that share it."""

    def store(self) -> RecordArchive:
        """Open one, to be closed when the test is over."""
        raise NotImplementedError

    def test_what_is_written_comes_back(self: Any) -> None:
        """Every value, at every node."""
        here, there = self.store(), self.store()
        self.assertEqual(here.recent(0.0, 10), [])
        here.write([CALL, REFUSED])
        for each in (here, there):
            self.assertEqual(each.recent(0.0, 10), [REFUSED, CALL])

    def test_a_batch_that_is_written_again_changes_nothing(self: Any) -> None:
        """Its commit was in doubt; a record is there once."""
        store = self.store()
        store.write([CALL])
        store.write([CALL._replace(code=500), REFUSED])
        self.assertEqual(store.recent(0.0, 10), [REFUSED, CALL])

    def test_a_call_that_was_shifted_ends_otherwise(self: Any) -> None:
        """The member was not there: the later record of the node takes the earlier one's place, and keeps it."""
        store = self.store()
        carried = CALL._replace(node=SHIFTED.node, accepted=SHIFTED.node)
        for batch in ([SHIFTED], [SHIFTED, carried], [SHIFTED, carried]):
            store.write(batch)
        self.assertEqual(store.recent(0.0, 10), [carried])

    def test_one_line_per_call(self: Any) -> None:
        """Of a shifted call the record of who took it; the entry's where there is no other."""
        store = self.store()
        store.write([SHIFTED])
        self.assertEqual(store.recent(0.0, 10), [SHIFTED])
        store.write([CALL])
        self.assertEqual(store.recent(0.0, 10), [CALL])

    def test_the_last_ones_since(self: Any) -> None:
        """In the order in which they ended."""
        store = self.store()
        calls = [CALL._replace(attempt=f"{number:032x}", ended=NOON + number) for number in range(10)]
        store.write(reversed(calls))
        self.assertEqual(store.recent(NOON + 4, 100), calls[4:])
        self.assertEqual(store.recent(0.0, 3), calls[7:])

    def test_all_of_one_call(self: Any) -> None:
        """By its Call-ID or its attempt, what every node knows, also where a client took a new Call-ID on its way."""
        store = self.store()
        other = CALL._replace(call_id="new")
        store.write([other, REFUSED, SHIFTED])
        for name in (CALL.call_id, "new", CALL.attempt):
            self.assertEqual(store.of_call(name), [SHIFTED, other])
        self.assertEqual(store.of_call("nobody"), [])

    def test_texts_that_no_database_takes(self: Any) -> None:
        """A client chooses them: NUL, half a character, quotes, and far too much."""
        store = self.store()
        store.write([CALL._replace(call_id="a\0b", caller="\ud800'); DROP TABLE calls; --", callee="x" * 100_000)])
        [found] = store.recent(0.0, 10)
        self.assertEqual((found.call_id, found.caller), ("a\ufffdb", "?'); DROP TABLE calls; --"))
        self.assertEqual(len(found.callee), 256)

    def test_what_is_too_old_is_forgotten(self: Any) -> None:
        """So many at a time, the oldest first."""
        store = self.store()
        store.write([CALL._replace(attempt=f"{number:032x}", ended=NOON + number) for number in range(10)])
        self.assertEqual(store.prune(NOON + 8, 5), 5)
        self.assertEqual([each.ended - NOON for each in store.recent(0.0, 10)], [5, 6, 7, 8, 9])
        self.assertEqual(store.prune(NOON + 8, 5), 3)
        self.assertEqual(store.prune(NOON + 8, 5), 0)

    def test_it_is_opened_again_after_it_was_closed(self: Any) -> None:
        """What is written survives."""
        store = self.store()
        store.write([CALL])
        store.close()
        store.close()
        self.assertEqual(store.recent(0.0, 10), [CALL])


class Worker:
    """A thread that does what it was told when the test says so."""

    def __init__(self) -> None:
        self.work: list[tuple[Deferred[Any], Callable[..., Any], tuple[object, ...]]] = []
        self.stopped = False

    def __call__(self, called: Callable[..., Any], *parameters: object) -> Deferred[Any]:
        done: Deferred[Any] = Deferred()
        self.work.append((done, called, parameters))
        return done

    def stop(self) -> None:
        """It ends."""
        self.stopped = True

    def turn(self) -> None:
        """Do the next thing."""
        done, called, parameters = self.work.pop(0)
        try:
            result = called(*parameters)
        except Exception as error:
            done.errback(error)
        else:
            done.callback(result)


class Remembering:
    """A store that remembers, and fails when the test says so."""

    def __init__(self) -> None:
        self.batches: list[list[Record]] = []
        self.pruned: list[tuple[float, int]] = []
        self.old = 0
        self.fault: Exception | None = None
        self.closed = False

    def write(self, records: Sequence[Record]) -> None:
        """Keep them, or fail."""
        if self.fault is not None:
            raise self.fault
        self.batches.append(list(records))

    def prune(self, before: float, most: int) -> int:
        """Forget some of what is old."""
        self.pruned.append((before, most))
        forgotten = min(self.old, most)
        self.old -= forgotten
        return forgotten

    def close(self) -> None:
        """Remember that too."""
        self.closed = True
