"""What speaks for a node besides its workload: the four factors that the method names, as a node tells them of itself.

Cost, location or region, servicing and quality of service.  What a decision makes of them is
:mod:`voipshift.balance.policy`'s.
"""

from __future__ import annotations

from typing import NamedTuple

#: The quality of a node that nothing is known of yet.
ASSUMED_RATIO = 0.5
ASSUMED_DELAY_S = 1.0


class Factors(NamedTuple):
    """What a node says of itself.

    :param region: where it is; empty for nowhere in particular
    :param cost: of a call through it, in whatever unit the group's operator counts
    :param services: the names of what it hosts, besides carrying calls
    :param answer_seizure_ratio: the share of its last calls that were answered (ITU-T E.411)
    :param post_dial_delay_s: how long they took from the request to ringing, on average (ITU-T E.721)
    """

    region: str = ""
    cost: float = 0.0
    services: tuple[str, ...] = ()
    answer_seizure_ratio: float = ASSUMED_RATIO
    post_dial_delay_s: float = ASSUMED_DELAY_S


#: A node that said nothing of the kind.
UNTOLD = Factors()
