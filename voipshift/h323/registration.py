"""RAS: how an endpoint finds its gatekeeper, and registers with it (H.225.0 sections 7.8 to 7.10).

A message whose default is None or ``()`` may lack that component.  What the values lack is not read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple

from voipshift.h323.addresses import Alias, read_aliases, write_aliases
from voipshift.h323.components import (
    Aliases,
    AlternateInfo,
    Alternates,
    CryptoTokens,
    Endpoint,
    Flag,
    Form,
    Mechanism,
    Mechanisms,
    Number,
    Oid,
    Oids,
    Place,
    Places,
    Text,
    Tokens,
    Vendor,
    Word,
)
from voipshift.h323.resources import Capacity

#: The one reason that comes with more than its name.
DUPLICATE_ALIAS = "duplicateAlias"


class Refusal(NamedTuple):
    """Why a registration is rejected: the reason as H.225.0 spells it, and the aliases that somebody else has."""

    reason: str
    aliases: tuple[Alias, ...] = ()


def _read_refusal(choice: tuple[str | int, Any]) -> Refusal:
    reason, content = choice
    return Refusal(str(reason), read_aliases(content) if reason == DUPLICATE_ALIAS else ())


def _write_refusal(refusal: Refusal) -> tuple[str, Any]:
    return refusal.reason, write_aliases(refusal.aliases) if refusal.reason == DUPLICATE_ALIAS else None


RegistrationRefusal = Annotated[Refusal, Form(_read_refusal, _write_refusal)]


@dataclass(frozen=True, slots=True)
class GatekeeperRequest:
    """GRQ: is there a gatekeeper?

    :ivar authentication_capability: how the endpoint can prove a password, by H.235
    :ivar algorithm_oids: and with what
    """

    request_seq_num: Number
    protocol_identifier: Oid
    ras_address: Place
    endpoint_type: Endpoint
    gatekeeper_identifier: Text | None = None
    endpoint_alias: Aliases = ()
    tokens: Tokens = ()
    crypto_tokens: CryptoTokens = ()
    authentication_capability: Mechanisms = ()
    algorithm_oids: Oids = ()


@dataclass(frozen=True, slots=True)
class GatekeeperConfirm:
    """GCF: here.

    :ivar authentication_mode: how the endpoint is to prove its password
    """

    request_seq_num: Number
    protocol_identifier: Oid
    ras_address: Place
    gatekeeper_identifier: Text | None = None
    alternate_gatekeeper: Alternates = ()
    authentication_mode: Mechanism | None = None
    algorithm_oid: Oid | None = None
    crypto_tokens: CryptoTokens = ()


@dataclass(frozen=True, slots=True)
class GatekeeperReject:
    """GRJ: not here."""

    request_seq_num: Number
    protocol_identifier: Oid
    reject_reason: Word
    gatekeeper_identifier: Text | None = None
    alt_gk_info: AlternateInfo = ()
    crypto_tokens: CryptoTokens = ()


@dataclass(frozen=True, slots=True)
class RegistrationRequest:
    """RRQ: an endpoint is at these addresses and has these aliases; a light one (``keep_alive``) only that it lives.

    :ivar time_to_live: seconds
    """

    request_seq_num: Number
    protocol_identifier: Oid
    discovery_complete: Flag
    call_signal_address: Places
    ras_address: Places
    terminal_type: Endpoint
    endpoint_vendor: Vendor
    terminal_alias: Aliases = ()
    gatekeeper_identifier: Text | None = None
    time_to_live: Number | None = None
    tokens: Tokens = ()
    crypto_tokens: CryptoTokens = ()
    keep_alive: Flag = False
    endpoint_identifier: Text | None = None
    will_supply_uuies: Flag | None = None
    maintain_connection: Flag = False
    capacity: Capacity | None = None


@dataclass(frozen=True, slots=True)
class RegistrationConfirm:
    """RCF: registered, for so many seconds."""

    request_seq_num: Number
    protocol_identifier: Oid
    call_signal_address: Places
    endpoint_identifier: Text
    terminal_alias: Aliases = ()
    gatekeeper_identifier: Text | None = None
    alternate_gatekeeper: Alternates = ()
    time_to_live: Number | None = None
    will_respond_to_irr: Flag = False
    maintain_connection: Flag = False
    crypto_tokens: CryptoTokens = ()


@dataclass(frozen=True, slots=True)
class RegistrationReject:
    """RRJ: not registered."""

    request_seq_num: Number
    protocol_identifier: Oid
    reject_reason: RegistrationRefusal
    gatekeeper_identifier: Text | None = None
    alt_gk_info: AlternateInfo = ()
    crypto_tokens: CryptoTokens = ()


@dataclass(frozen=True, slots=True)
class UnregistrationRequest:
    """URQ: an endpoint goes, or has to."""

    request_seq_num: Number
    call_signal_address: Places
    endpoint_alias: Aliases = ()
    endpoint_identifier: Text | None = None
    gatekeeper_identifier: Text | None = None
    tokens: Tokens = ()
    crypto_tokens: CryptoTokens = ()
    reason: Word | None = None
    alternate_gatekeeper: Alternates = ()


@dataclass(frozen=True, slots=True)
class UnregistrationConfirm:
    """UCF."""

    request_seq_num: Number
    crypto_tokens: CryptoTokens = ()


@dataclass(frozen=True, slots=True)
class UnregistrationReject:
    """URJ."""

    request_seq_num: Number
    reject_reason: Word
    alt_gk_info: AlternateInfo = ()
    crypto_tokens: CryptoTokens = ()
