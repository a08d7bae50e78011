"""Why a node decided about a call attempt as it did: one number for each way out of the rule.

The numbers travel with the loads of the nodes that an attempt visited, and stay in the records of calls: append-only.
The first block takes the attempt, the second passes it on, the third refuses it; the fourth is what another node says
of one that does not speak for itself.  Pure.
"""

from __future__ import annotations

from enum import IntEnum


class Reason(IntEnum):
    """Append-only, each in its block."""

    #: of a node that keeps no records
    UNTOLD = 0

    BELOW_THRESHOLD = 1
    NOBODY_EMPTIER = 2
    NOBODY_LEFT = 3
    NO_TIME_TO_ASK = 4
    CAME_DIRECTLY = 5

    FULL = 16
    ANOTHER_EMPTIER = 17
    PROBED = 18
    OFFERED_LESS = 19

    ALL_FULL = 32
    HOP_LIMIT = 33
    NOBODY_TO_ASK = 34
    OUT_OF_TIME = 35
    TOO_MANY_LEASES = 36
    LOOP = 37
    FULL_ALONE = 38

    SILENT = 48
    NO_ANSWER = 49
    LOST_ITS_DOOR = 50
    ASKED_BESIDE = 51

    @property
    def accepts(self) -> bool:
        """Whether the node takes the attempt."""
        return Reason.BELOW_THRESHOLD <= self < Reason.FULL


#: What a number means, as the end of a sentence that begins with the node's name.
SENTENCES = {
    Reason.UNTOLD: "keeps no records: why it decided so is not known",
    Reason.BELOW_THRESHOLD: "accepted: it was below its threshold",
    Reason.NOBODY_EMPTIER: "accepted: it had room, and the member it looked at was not emptier",
    Reason.NOBODY_LEFT: "accepted: it had room, and nobody was left to ask",
    Reason.NO_TIME_TO_ASK: "accepted: it had room, and there was no time to ask another",
    Reason.CAME_DIRECTLY: "accepted: the call came for this node alone, and it had room",
    Reason.FULL: "had no room, and asked a member believed to have some",
    Reason.ANOTHER_EMPTIER: "had room, and asked a member that was emptier",
    Reason.OFFERED_LESS: "had room, and asked a member that clients offer less than its share",
    Reason.PROBED: "knew of nobody with room, and asked a member all the same",
    Reason.ALL_FULL: "refused: it had no room, and neither had any other that could take the call",
    Reason.HOP_LIMIT: "refused: it had no room, and the call had been at as many nodes as it may",
    Reason.NOBODY_TO_ASK: "refused: it had no room, and nobody was left to ask",
    Reason.OUT_OF_TIME: "refused: it had no room, and no time was left to ask another",
    Reason.TOO_MANY_LEASES: "refused: the client held as many slots as one address may",
    Reason.LOOP: "refused: it had decided about the call before",
    Reason.FULL_ALONE: "refused: the call came for this node alone, and it had no room",
    Reason.SILENT: "was asked, and nothing was heard of it",
    Reason.NO_ANSWER: "was asked and asked on, and had no answer in time",
    Reason.LOST_ITS_DOOR: "accepted, and has no door of the client's kind any more",
    Reason.ASKED_BESIDE: "was asked at the same time",
}


def sentence_of(number: int) -> str:
    """What a number means; a later version may have sent one that is not known here."""
    try:
        return SENTENCES[Reason(number)]
    except ValueError:
        return f"decided for a reason that this version does not know ({number})"
