"""Signed RAS: who has signed what came in (:mod:`voipshift.h323.procedure`), and the signature of what goes out to him.

A terminal that signs what it says takes no answer that is not signed.  To register it goes by the name of its user,
afterwards by the identifier that it was given.  No socket and no clock in here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, Protocol, TypeVar

from voipshift.h323 import ras
from voipshift.h323.addresses import text_of
from voipshift.h323.admission import LocationRequest
from voipshift.h323.endpoints import Endpoint
from voipshift.h323.gate import Gate, Party
from voipshift.h323.procedure import HASH_SIZE, HashedToken, Signer
from voipshift.h323.registration import RegistrationConfirm, RegistrationRequest
from voipshift.node import Address

#: The random numbers of signed messages begin anew after this one.
MAX_RANDOM = 2**31 - 1


class Asked(Protocol):
    """A request that is being worked off."""

    party: Party | None
    signer: Signer | None

    @property
    def octets(self) -> bytes: ...
    @property
    def source(self) -> Address: ...


class Registry(Protocol):
    """Who is registered."""

    def endpoint(self, identifier: str | None) -> Endpoint | None: ...


Begun = TypeVar("Begun", bound=Asked)
WorkOff = Callable[[Begun, Any], None]


class Signatures:
    """Looks at signatures, and makes them.

    :param name: this gatekeeper's identifier
    :param wall: seconds since 1970
    """

    def __init__(
        self,
        *,
        name: str,
        gate: Gate,
        registry: Registry,
        wall: Callable[[], float],
        octets: Callable[[int], bytes],
    ) -> None:
        self._name = name
        self._gate = gate
        self._registry = registry
        self._wall = wall
        self._octets = octets
        self._random = 0

    def look_at(self, asked: Begun, request: ras.Message | ras.NotUnderstood, work_off: WorkOff[Begun]) -> None:
        """Find out whether a request is signed.  Where it is not, or wrongly, it goes on as one without a signature.

        :param work_off: called with both, at once or later
        """
        token = None if isinstance(request, (ras.NotUnderstood, LocationRequest)) else _signature(request)
        if token is None:
            work_off(asked, request)
        elif token.general_id not in (None, self._name):
            self._proved(asked, request, token, work_off, None)
        else:
            signed = replace(token, senders_id=self._user(request, token))
            self._gate.prove(
                asked.source[0], signed, asked.octets, partial(self._proved, asked, request, token, work_off)
            )

    def written(self, message: ras.Message, signer: Signer | None) -> bytes:
        """A message, signed where whom it is for wants that."""
        if signer is None:
            return ras.encode(message)
        if isinstance(message, RegistrationConfirm):
            signer = signer.towards(message.endpoint_identifier)
        self._random = self._random % MAX_RANDOM + 1

        def write(token: HashedToken) -> bytes:
            return ras.encode(replace(message, crypto_tokens=(token,)))

        return signer.signed(write, int(self._wall()), self._random, self._octets(HASH_SIZE))

    def _user(self, request: Any, token: HashedToken) -> str:
        """Whose password it has to be."""
        endpoint = self._registry.endpoint(token.senders_id or getattr(request, "endpoint_identifier", None))
        if endpoint is not None and endpoint.signer is not None:
            return endpoint.signer.user
        return token.senders_id or text_of(getattr(request, "terminal_alias", ()))

    def _proved(
        self, asked: Begun, request: Any, token: HashedToken, work_off: WorkOff[Begun], party: Party | None
    ) -> None:
        if party is not None and party.user is not None:
            registers = isinstance(request, RegistrationRequest)
            asked.party = self._gate.vouches(asked.source[0], registers=registers) or party
            asked.signer = Signer(party.user, party.key, token.version, self._name, token.senders_id)
        others = tuple(each for each in request.crypto_tokens if not isinstance(each, HashedToken))
        work_off(asked, replace(request, crypto_tokens=others))


def _signature(request: ras.Message) -> HashedToken | None:
    return next((each for each in getattr(request, "crypto_tokens", ()) if isinstance(each, HashedToken)), None)
