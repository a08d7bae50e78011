"""What H.323 costs: calls shifted per CPU second, µs to read and to write a message, the slowest of 100 000 bad ones.

::

    python -m bench.h323 [--calls 4000] [--messages 100000] [--runs 5] [--json]

- **door**: calls shifted by the real front door of a node without room: a connection, SETUP read, a member asked over
  the group, FACILITY callForwarded and RELEASE COMPLETE written, the connection closed; 32 callers at once
  (:mod:`bench.h323door`).  The processor is that of the node, and of both nodes, until the last lease has lapsed;
  ``per_cpu_s`` is the node's while the calls come.  To reach: 700 µs.  Of some 310 µs on an idle machine a third is
  the SETUP read, a quarter the connection (accept, register, two system calls to close it), a quarter the two answers
  written, and the rest the decision and its Ask and Answer.  What would halve it: values of a message made only when
  they are asked for, and answers that are templates into which reference, identifiers and address are put, take two
  thirds from the codec; the connections would need a loop that is not Python.

- **read**, **write**: one message as values, beside pycrate's own codec with the same octets (which reads every
  extension addition, and whose encoder has faults).  Medians of interleaved runs.
- **redirect**: the pure part of a shifted call: TPKT and SETUP read, FACILITY callForwarded and RELEASE COMPLETE
  written.  Two thirds of it are the SETUP, and half of those are its values, made of what was read.
- **slowest**: messages of every kind with a few octets changed, lost or added, each read, and written again as far as
  a node would (a SETUP sent on, a RAS message repeated).  Only :class:`~voipshift.errors.ProtocolViolation` may come
  out.  ``grown`` is how many more objects Python tracks afterwards than after the first tenth.
- **made slow**: messages of the longest size, full of the elements that take the most time.  Nobody mutates into those.

Times are CPU time of the thread, but for the door's.
"""

from __future__ import annotations

import argparse
import gc
import json
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from random import Random
from statistics import median
from typing import Any

from pycrate_asn1dir import H225
from pycrate_asn1rt.codecs import ASN1CodecPER

from bench.h323door import CALLERS, shifted
from tests.h323_messages import (
    ACCEPT,
    CALLED,
    CRYPTO_TOKENS,
    PHONE,
    RAS_MESSAGES,
    SETUP,
    SETUP_OCTETS,
    TOKENS,
    signals,
)
from tests.test_h323_uuie import ASTERISK, mutated
from voipshift.errors import ProtocolViolation
from voipshift.h323 import q931, ras, signalling, tpkt, uuie
from voipshift.h323.addresses import EndpointType, alias_of
from voipshift.h323.per import MAX_ELEMENTS
from voipshift.h323.registration import RegistrationRequest
from voipshift.h323.uuie import PROTOCOL, UserInformation

#: A message of any kind may take so long at most.
MOST_MS = 20.0
#: Repetitions of one message in one run.
REPEAT = 300


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.h323", description=__doc__.partition("\n")[0])
    parser.add_argument("--calls", type=int, default=4000, help="at the door in one run; 0 leaves it out (%(default)s)")
    parser.add_argument("--messages", type=int, default=100_000, help="mutated ones (%(default)s)")
    parser.add_argument("--runs", type=int, default=5, help="of each figure (%(default)s)")
    parser.add_argument("--json", action="store_true", help="one line of JSON")
    options = parser.parse_args()
    figures: dict[str, Any] = {"door": shifted(options.calls, options.runs)} if options.calls else {}
    figures |= {
        "messages": costs(options.runs),
        "redirect": redirect(options.runs),
        "mutated": mutations(options.messages),
        "made_slow_ms": made_slow(),
    }
    if options.json:
        print(json.dumps(figures))
    else:
        show(figures)


def show(figures: dict[str, Any]) -> None:
    """Print the figures for people."""
    if "door" in figures:
        door = figures["door"]
        print(
            f"door: {door['primary_cpu_us']:.0f} µs, with the member {door['cpu_us']:.0f};"
            f" {door['per_cpu_s']:.0f} per CPU second; {CALLERS} callers at once: p50 {door['p50_us'] / 1e3:.1f} ms,"
            f" p99 {door['p99_us'] / 1e3:.1f} ms, {door['per_second']:.0f} a second; {door['wrong']} wrong"
        )
    print(f"{'µs':24}{'read':>8}{'write':>8}{'pycrate':>10}{'':>8}")
    for name, row in figures["messages"].items():
        print(f"{name:24}{row['read_us']:8.1f}{row['write_us']:8.1f}", end="")
        print(f"{row['pycrate_read_us']:10.1f}{row['pycrate_write_us']:8.1f}")
    shifted = figures["redirect"]
    print(f"redirect: {shifted['cpu_us']:.0f} µs, {shifted['per_cpu_s']:.0f} per CPU second")
    bad = figures["mutated"]
    print(
        f"mutated: {bad['messages']} messages, {bad['violations']} violations, slowest {bad['slowest_ms']:.2f} ms"
        f" (at most {MOST_MS:g}), grown by {bad['grown']} objects"
    )
    for name, milliseconds in figures["made_slow_ms"].items():
        print(f"made slow: {name} {milliseconds:.2f} ms")


def costs(runs: int) -> dict[str, dict[str, float]]:
    """What it takes to read and to write each kind of message."""
    kinds: dict[str, tuple[Callable[[], object], Callable[[], object], Any, bytes]] = {}
    user_information = H225.H323_MESSAGES.H323_UserInformation
    for name, octets in (("SETUP", ASTERISK), ("SETUP, video and tokens", q931.parse(SETUP_OCTETS).user_user or b"")):
        information = uuie.decode(octets)
        kinds[name] = (partial(uuie.decode, octets), partial(uuie.encode, information), user_information, octets)
    for message in RAS_MESSAGES:
        octets = ras.encode(message)
        kinds.setdefault(
            type(message).__name__,
            (partial(ras.decode, octets), partial(ras.encode, message), H225.H323_MESSAGES.RasMessage, octets),
        )
    samples: dict[str, list[tuple[float, ...]]] = {name: [] for name in kinds}
    for _ in range(runs):
        for name, (read, write, definition, octets) in kinds.items():
            rival = pycrate(definition, octets)
            samples[name].append((cpu_us(read, REPEAT), cpu_us(write, REPEAT), *rival))
    columns = ("read_us", "write_us", "pycrate_read_us", "pycrate_write_us")
    return {
        name: {column: median(row[at] for row in rows) for at, column in enumerate(columns)}
        for name, rows in samples.items()
    }


def pycrate(definition: Any, octets: bytes) -> tuple[float, float]:
    """What pycrate takes to read these octets, and to write what it read."""
    figures = (
        cpu_us(lambda: definition.from_aper(octets), REPEAT // 10),
        cpu_us(definition.to_aper, REPEAT // 10),
    )
    del ASN1CodecPER._off[:]
    return figures


def redirect(runs: int) -> dict[str, float]:
    """One call shifted, from the octets of its SETUP to those of its RELEASE COMPLETE."""
    setup = q931.Message(5, 1, False, (q931.called_number("1234"), q931.user_user(ASTERISK)))
    segment = tpkt.wrap(setup.octets())

    def shift() -> None:
        (payload,) = tpkt.Reader().receive(segment)
        signal = signalling.parse(payload)
        tpkt.wrap(signalling.call_forwarded(signal, ACCEPT))
        tpkt.wrap(signalling.release_complete(signal, uuie.FACILITY_CALL_DEFLECTION))

    cost = median(cpu_us(shift, 10 * REPEAT) for _ in range(runs))
    return {"cpu_us": cost, "per_cpu_s": 1e6 / cost}


def mutations(count: int) -> dict[str, float]:
    """Read messages that somebody has damaged."""
    random = Random(323)
    call_signalling = signals()
    registrations = [ras.encode(message) for message in RAS_MESSAGES]
    slowest = 0.0
    violations = tracked = 0
    for number in range(count):
        if number == count // 10:
            gc.collect()
            tracked = len(gc.get_objects())
        is_ras = number % 2
        octets = mutated(random.choice(registrations if is_ras else call_signalling), random)
        began = time.thread_time()
        try:
            (repeat if is_ras else send_on)(octets)
        except ProtocolViolation:
            violations += 1
        slowest = max(slowest, time.thread_time() - began)
    gc.collect()
    return {
        "messages": count,
        "violations": violations,
        "slowest_ms": 1e3 * slowest,
        "grown": len(gc.get_objects()) - tracked,
    }


def repeat(octets: bytes) -> None:
    """Read a RAS message, and write it."""
    message = ras.decode(octets)
    if not isinstance(message, ras.NotUnderstood):
        ras.encode(message)


def send_on(octets: bytes) -> None:
    """Read a message of call signalling, and send a SETUP on."""
    signal = signalling.parse(octets)
    if signal.information is not None and isinstance(signal.information.body, uuie.Setup):
        signalling.setup_sent_on(signal, 1, PHONE, ACCEPT)


def made_slow() -> dict[str, float]:
    """The worst that fits into a message."""
    half = MAX_ELEMENTS // 2 - 10
    aliases = tuple([alias_of("1")] * half)
    registration = ras.encode(
        RegistrationRequest(1, PROTOCOL, True, (), (), EndpointType("gateway", "", ("1",) * half), "", aliases)
    )
    setup = replace(
        SETUP,
        source_address=aliases,
        destination_address=CALLED * half,
        tokens=TOKENS * 60,
        crypto_tokens=CRYPTO_TOKENS * 60,
        fast_start=(b"",) * MAX_ELEMENTS,
    )
    information = uuie.encode(UserInformation(setup, True, (b"",) * MAX_ELEMENTS))
    return {
        f"RRQ of {len(registration)} octets": cpu_us(lambda: ras.decode(registration), 20) / 1e3,
        f"SETUP of {len(information)} octets": cpu_us(lambda: uuie.decode(information), 20) / 1e3,
    }


def cpu_us(call: Callable[[], object], count: int) -> float:
    """CPU time of one call."""
    began = time.thread_time()
    for _ in range(count):
        call()
    return 1e6 * (time.thread_time() - began) / count


if __name__ == "__main__":
    main()
