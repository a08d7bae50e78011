"""The quality of service of a node, measured at the calls that it carries.

The answer-seizure ratio is the share of calls that were answered (ITU-T E.411, section 5), the post-dial delay the time
from the request to the first sign of the called user, ringing or the answer (ITU-T E.721).  Both are means that forget:
the newest call weighs one part in :data:`MEMORY`.  They begin as if a few calls of an assumed quality had been made, so
that the first one is not taken for all.  Pure.
"""

from __future__ import annotations

from voipshift.balance.factors import ASSUMED_DELAY_S, ASSUMED_RATIO
from voipshift.calls.table import Call

#: Calls that are remembered.
MEMORY = 100
#: Calls that the assumption counts as.
ASSUMED_CALLS = 10


class Quality:
    """A rating of the last calls.

    :ivar answer_seizure_ratio: 0 to 1
    :ivar post_dial_delay_s: of those that rang or were answered
    """

    def __init__(self) -> None:
        self.answer_seizure_ratio = ASSUMED_RATIO
        self.post_dial_delay_s = ASSUMED_DELAY_S
        self._seized = self._rang = ASSUMED_CALLS

    def answered(self, call: Call) -> None:
        """A call was answered."""
        self._seize(call, True)

    def closed(self, call: Call) -> None:
        """A call ended; one that was answered has been counted."""
        if call.answered is None:
            self._seize(call, False)

    def _seize(self, call: Call, answered: bool) -> None:
        self._seized = min(self._seized + 1, MEMORY)
        self.answer_seizure_ratio += (answered - self.answer_seizure_ratio) / self._seized
        rang = call.answered if call.alerted is None else call.alerted
        if rang is not None:
            self._rang = min(self._rang + 1, MEMORY)
            self.post_dial_delay_s += (rang - call.began - self.post_dial_delay_s) / self._rang
