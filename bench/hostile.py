"""What a hostile SIP message costs: CPU of reading messages that are made to take long, and whether it grows with size.

::

    python -m bench.hostile [--json]

Each kind is read at a quarter, a half and the whole of 64 kB, the longest message there is; the figure is the best of
five.  To stay under: 20 ms.  ``growth`` is what doubling the size twice multiplies the time by: 4 is linear, 16 is
quadratic.  Below 0.2 ms it is not told, for there it is noise.  Times are CPU time of the thread.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import time
from typing import NamedTuple

from tests.sip_wire import INVITE, changed, made_slow
from voipshift.errors import ProtocolViolation
from voipshift.sip.message import parse
from voipshift.sip.plain import parse_plain

SIZES = (16_000, 32_000, 64_000)
RUNS = 5
#: Milliseconds that the largest may cost, and those below which growth says nothing.
ALLOWED_MS = 20.0
NOISE_MS = 0.2


class Row(NamedTuple):
    """One kind of message: its cost at each size, and how that grew; None where it is too small to tell."""

    message: str
    ms: tuple[float, ...]
    growth: float | None


def cost_ms(octets: bytes) -> float:
    """CPU milliseconds of reading a message and its Contacts, the best of some runs."""
    best = float("inf")
    for _ in range(RUNS):
        begun = time.thread_time()
        with contextlib.suppress(ProtocolViolation):
            (parse_plain(octets) or parse(octets)).values("Contact")
        best = min(best, time.thread_time() - begun)
    return best * 1000


def main() -> None:
    """Measure all kinds and print them, the dearest last."""
    options = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    options.add_argument("--json", action="store_true")
    as_json = options.parse_args().json
    rows = []
    for kind in zip(*(made_slow(size) for size in SIZES), strict=True):
        costs = tuple(cost_ms(changed(INVITE, replacement)) for replacement in kind)
        growth = costs[-1] / costs[0] if costs[0] >= NOISE_MS else None
        rows.append(Row(f"{kind[0][0]} -> {kind[0][1][:24]!r}", costs, growth))
    rows.sort(key=lambda row: max(row.ms))
    if as_json:
        print(json.dumps([row._asdict() for row in rows]))
        return
    for row in rows:
        columns = "".join(f"{cost:8.2f}" for cost in row.ms)
        print(f"{row.message:48}{columns} ms   {'' if row.growth is None else f'x {row.growth:.1f}'}")
    print(f"to stay under: {ALLOWED_MS:g} ms")


if __name__ == "__main__":
    main()
