"""How a call of H.323 ended, as SIP's status codes say it: RFC 4497 section 8.4.4, table 1, from cause to response.

Records of calls have these codes for both protocols, so that a busy telephone is the same there however it was called.
"""

from __future__ import annotations

from voipshift.h323 import callstate
from voipshift.h323.callstate import Side
from voipshift.h323.q931 import MessageType

ANSWERED = 200
NO_GATEWAY = 404
_CANCELLED = 487
_NO_ANSWER = 408
FAILED = 503
#: Of a cause that is not below.
_OTHERWISE = 500

_STATUS = {
    1: 404, 2: 404, 3: 404, 16: 480, 17: 486, 18: 408, 19: 480, 20: 480, 21: 603, 22: 410, 23: 410, 26: 404, 27: 502,
    28: 484, 29: 501, 31: 480, 34: 503, 38: 503, 41: 503, 42: 503, 47: 503, 55: 403, 57: 403, 58: 501, 65: 501,
    70: 501, 79: 501, 87: 403, 88: 400, 95: 400, 102: 408,
}  # fmt: skip


def status_of(side: Side, input: str | int, cause: int | None) -> int:
    """The status that an input would end a call with that is not answered yet; 0 where it ends none.

    :param cause: the message's, None where it has none or there is no message
    """
    if side is Side.CALLER:
        return _CANCELLED if input in (MessageType.RELEASE_COMPLETE, callstate.CLOSED) else 0
    if input in (MessageType.RELEASE_COMPLETE, callstate.FAILED):
        return _OTHERWISE if cause is None else _STATUS.get(cause, _OTHERWISE)
    if input == callstate.TIMER:
        return _NO_ANSWER
    return FAILED if side is Side.CALLED and input == callstate.CLOSED else 0
