"""A batch of datagrams: what is done once for all of them, when the last one is worked off.

A port that is readable mostly holds several datagrams, and what follows from each of them may go together: the asks of
six calls to one member are one sealed datagram, opened once.  Whoever has such a thing to do says so with
:meth:`Batch.at_end`.

Nothing waits for company by a timer: a batch is what has come already, it ends within the same turn of the event loop,
and outside of a batch everything is done at once.
"""

from __future__ import annotations

from collections.abc import Callable


class Batch:
    """What is read in one go; the ports of a node share one, and open it while they read::

    with batch:
        ...  # each datagram
    """

    __slots__ = ("_acts", "_running")

    def __init__(self) -> None:
        self._running = False
        self._acts: list[Callable[[], None]] = []

    def at_end(self, act: Callable[[], None]) -> None:
        """Have something done when the batch is worked off; at once when none is being read."""
        if self._running:
            self._acts.append(act)
        else:
            act()

    def __enter__(self) -> None:
        self._running = True

    def __exit__(self, *raised: object) -> None:
        self._running = False
        acts, self._acts = self._acts, []
        failed: Exception | None = None
        for act in acts:
            try:
                act()
            except Exception as error:  # the others have nothing to do with it
                failed = failed or error
        if failed is not None:
            raise failed
