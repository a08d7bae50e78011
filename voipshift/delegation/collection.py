"""How a node comes to know the loads that it decides by: ``balance.collect``.

``reports``
    It believes what the others report of their own accord and what each answer brings.  Nothing is waited for.
``poll``
    It polls them at the time of the decision: :mod:`voipshift.delegation.polling`.
``race``
    It asks several at once, and the first one that accepts knows best: :mod:`voipshift.delegation.racing`.
"""

from __future__ import annotations

from voipshift.config import BalanceSettings
from voipshift.delegation.chain import StartChain
from voipshift.delegation.polling import Poll, polling
from voipshift.delegation.racing import racing


def chain_of(balance: BalanceSettings, poll: Poll) -> StartChain | None:
    """How attempts go their way; None is the delegation's own way."""
    match balance.collect:
        case "poll":
            return polling(poll, balance.collect_from, balance.poll_s)
        case "race":
            return racing(balance.collect_from)
        case _:
            return None
