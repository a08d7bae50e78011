"""What a node's memory grows by for each ongoing call.

::

    python -m bench.memory [--calls 5000] [--json]

One node (``twistd voipshift``, alone in its group, no limit) carries calls from a caller to a gateway that answers at
once (:mod:`bench.ends`).  Its resident memory is read at three moments: before, after two hundred calls came and went
and everything that they left has ended; **with the calls up**, when the last one was acknowledged, with the
transactions of all that were set up in the last 32 s still there; and **after the transactions' time** (64 T1 = 32 s,
RFC 6026 timers L and M), with nothing but the calls.  The figure to reach is the last one; the difference is what
setting up costs, and belongs to the rate of calls and not to their number.  What the allocator keeps after the
transactions is counted against the calls.

In the end all calls are hung up and each BYE must be answered 200, which only a call that is in the node's table gets.
Not measured: probes of calls (none is due), a node in a group, TCP connections.
"""

from __future__ import annotations

import argparse
import json
import sys
import time

from bench.ends import Ends
from bench.nodes import carrier
from bench.processes import Starter, free_ports, rss

#: Calls that come and go before the first reading, so that code and buffers are there.
WARM_UP = 200
#: The last timers of a transaction that was answered 200: L and M, 64 T1; and a second.
TRANSACTIONS_S = 32.0 + 1.0
#: For the last ACK to be worked off.
ACK_S = 0.2
#: To reach.
CALL_TO_REACH_KB = 12.0


def measure(calls: int) -> dict[str, float]:
    """Set the calls up and read the memory."""
    port = free_ports(1)[0]
    ends = Ends(port)
    try:
        with Starter() as starter:
            node = carrier(starter, port)
            ends.node = node.address
            ends.call(range(WARM_UP))
            ends.hang_up(range(WARM_UP))
            time.sleep(TRANSACTIONS_S)
            before = rss(node.pids[0])
            numbers = range(WARM_UP, WARM_UP + calls)
            ends.call(numbers)
            time.sleep(ACK_S)
            with_calls, up = rss(node.pids[0]), len(ends)
            time.sleep(TRANSACTIONS_S)
            after = rss(node.pids[0])
            ends.hang_up(numbers)
    finally:
        ends.close()
    each = max(up, 1) * 1024
    return {
        "calls": up,
        "failed": ends.failed,
        "left": len(ends),
        "before_kb": before // 1024,
        "up_kb_per_call": round((with_calls - before) / each, 2),
        "kb_per_call": round((after - before) / each, 2),
    }


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Memory of a node for each ongoing call.")
    parser.add_argument("--calls", type=int, default=5000, help="how many at once (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    arguments = parser.parse_args()
    result = measure(arguments.calls)
    if arguments.json:
        print(json.dumps(result))
        return 0
    print(f"calls up           {result['calls']:8g}, failed: {result['failed']:g}, left in the end: {result['left']:g}")
    print(f"node before        {result['before_kb']:8g} kB")
    print(f"with the calls up  {result['up_kb_per_call']:8g} kB a call, transactions included")
    print(f"an ongoing call    {result['kb_per_call']:8g} kB, transactions over; to reach: {CALL_TO_REACH_KB:g}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
