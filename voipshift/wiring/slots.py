"""The slots that a node may promise, as the settings bound them."""

from __future__ import annotations

import math

from voipshift import config
from voipshift.balance.leases import Leases
from voipshift.entropy import Entropy

#: An address that is neither trusted nor authenticated holds at most this share of the limit as open leases, but always
#: two.
SHARE_PER_CLIENT = 0.05
#: How many leases an untrusted address may hold where the limit of calls is "unlimited".
UNLIMITED_HELD = 50


def leases_of(settings: config.Settings) -> Leases:
    """The slots that are promised to clients, none yet."""
    limit = settings.workload.ongoing_calls
    held = UNLIMITED_HELD if limit == math.inf else max(2, int(limit * SHARE_PER_CLIENT))
    return Leases(lease_s=settings.sip.lease_s, held_per_client=held, random=Entropy())
