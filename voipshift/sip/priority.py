"""By what a caller marks a call as an emergency: Priority (RFC 3261 section 20.26), Resource-Priority (RFC 4412).

Which marks mean one is the operator's to say, and they are believed only of callers who are known: anybody can write a
header field.  A node knows two classes, emergencies and all others, so that of a namespace's order nothing but that is
left, and the best of several values counts (RFC 4412 section 4.7: a request is in the highest class that one of its
values names).

An unknown namespace or value is passed over, as RFC 4412 section 4.6.2 says, unless the caller demands that it be
understood by a ``Proxy-Require: resource-priority``: then the request ends with 417, which says what is understood
(section 3.2).  Pure.
"""

from __future__ import annotations

from collections.abc import Iterable

from voipshift.sip.fields import Message

#: The option tag of RFC 4412.
RESOURCE_PRIORITY = "resource-priority"
#: Values of a Resource-Priority that are looked at.
MAX_VALUES = 16


class Marks:
    """The marks that mean an emergency.

    :param priority: ``Priority: emergency`` does
    :param resource_priorities: r-values (``ets.0``) or whole namespaces (``ets``)
    :ivar extensions: the option tags that are understood for their sake
    """

    def __init__(self, *, priority: bool = False, resource_priorities: Iterable[str] = ()) -> None:
        self._priority = priority
        self._values = frozenset(value.lower() for value in resource_priorities)
        self._accepted = ", ".join(sorted(self._values))
        self.extensions = frozenset((RESOURCE_PRIORITY,)) if self._values else frozenset()

    def __bool__(self) -> bool:
        return self._priority or bool(self._values)

    def on(self, request: Message) -> bool:
        """Whether a request has one of them."""
        if self._priority and (request.get("Priority") or "").lower() == "emergency":
            return True
        return bool(self._values) and request.has("Resource-Priority") and self._understands(request)

    def not_understood(self, request: Message) -> tuple[tuple[str, str], ...] | None:
        """The header fields of a 417, where the caller demands that its Resource-Priority be understood, and it is
        not; None otherwise.
        """
        if not self._values or not request.has("Proxy-Require") or not request.has("Resource-Priority"):
            return None
        demanded = {tag.lower() for tag in request.values("Proxy-Require")}
        if RESOURCE_PRIORITY not in demanded or self._understands(request):
            return None
        return (("Accept-Resource-Priority", self._accepted),)

    def _understands(self, request: Message) -> bool:
        for value in request.values("Resource-Priority")[:MAX_VALUES]:
            said = value.lower()
            if said in self._values or said.partition(".")[0] in self._values:
                return True
        return False
