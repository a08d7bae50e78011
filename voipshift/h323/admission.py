"""RAS: whether and where a call may go (H.225.0 sections 7.11 to 7.14).

A message whose default is None or ``()`` may lack that component.  What the values lack is not read.
"""

from __future__ import annotations

from dataclasses import dataclass

from voipshift.h323.components import (
    Aliases,
    AlternateInfo,
    CryptoTokens,
    Flag,
    Guid,
    Number,
    Octets,
    Place,
    Places,
    Text,
    Tokens,
    Word,
)

# How a call's signalling goes, call_model.
DIRECT = "direct"
GATEKEEPER_ROUTED = "gatekeeperRouted"


@dataclass(frozen=True, slots=True)
class AdmissionRequest:
    """ARQ: may this call be?

    :ivar answer_call: the called side asks
    :ivar band_width: hundreds of bits per second, both ways
    """

    request_seq_num: Number
    call_type: Word
    endpoint_identifier: Text
    src_info: Aliases
    band_width: Number
    call_reference_value: Number
    conference_id: Octets
    active_mc: Flag = False
    answer_call: Flag = False
    call_model: Word | None = None
    destination_info: Aliases = ()
    dest_call_signal_address: Place = None
    src_call_signal_address: Place = None
    can_map_alias: Flag = False
    call_identifier: Guid | None = None
    gatekeeper_identifier: Text | None = None
    tokens: Tokens = ()
    crypto_tokens: CryptoTokens = ()
    will_supply_uuies: Flag = False


@dataclass(frozen=True, slots=True)
class AdmissionConfirm:
    """ACF: it may; connect there.

    :ivar irr_frequency: seconds between an endpoint's reports of the call
    """

    request_seq_num: Number
    band_width: Number
    call_model: Word
    dest_call_signal_address: Place
    irr_frequency: Number | None = None
    destination_info: Aliases = ()
    will_respond_to_irr: Flag = False
    crypto_tokens: CryptoTokens = ()


@dataclass(frozen=True, slots=True)
class AdmissionReject:
    """ARJ: it may not."""

    request_seq_num: Number
    reject_reason: Word
    alt_gk_info: AlternateInfo = ()
    call_signal_address: Places = ()
    crypto_tokens: CryptoTokens = ()


@dataclass(frozen=True, slots=True)
class BandwidthRequest:
    """BRQ: may the call have another bandwidth?"""

    request_seq_num: Number
    endpoint_identifier: Text
    conference_id: Octets
    call_reference_value: Number
    band_width: Number
    call_type: Word | None = None
    call_identifier: Guid | None = None
    gatekeeper_identifier: Text | None = None
    tokens: Tokens = ()
    crypto_tokens: CryptoTokens = ()
    answered_call: Flag = False


@dataclass(frozen=True, slots=True)
class BandwidthConfirm:
    """BCF."""

    request_seq_num: Number
    band_width: Number
    crypto_tokens: CryptoTokens = ()


@dataclass(frozen=True, slots=True)
class BandwidthReject:
    """BRJ."""

    request_seq_num: Number
    reject_reason: Word
    allowed_band_width: Number
    alt_gk_info: AlternateInfo = ()
    crypto_tokens: CryptoTokens = ()


@dataclass(frozen=True, slots=True)
class DisengageRequest:
    """DRQ: the call is over, or has to be."""

    request_seq_num: Number
    endpoint_identifier: Text
    conference_id: Octets
    call_reference_value: Number
    disengage_reason: Word
    call_identifier: Guid | None = None
    gatekeeper_identifier: Text | None = None
    tokens: Tokens = ()
    crypto_tokens: CryptoTokens = ()
    answered_call: Flag = False


@dataclass(frozen=True, slots=True)
class DisengageConfirm:
    """DCF."""

    request_seq_num: Number
    crypto_tokens: CryptoTokens = ()


@dataclass(frozen=True, slots=True)
class DisengageReject:
    """DRJ."""

    request_seq_num: Number
    reject_reason: Word
    alt_gk_info: AlternateInfo = ()
    crypto_tokens: CryptoTokens = ()


@dataclass(frozen=True, slots=True)
class LocationRequest:
    """LRQ: where is this alias?

    :ivar reply_address: where the answer goes, whoever passed the question on
    :ivar hop_count: how many gatekeepers may still be asked
    """

    request_seq_num: Number
    destination_info: Aliases
    reply_address: Place
    endpoint_identifier: Text | None = None
    source_info: Aliases = ()
    can_map_alias: Flag = False
    gatekeeper_identifier: Text | None = None
    tokens: Tokens = ()
    crypto_tokens: CryptoTokens = ()
    hop_count: Number | None = None
    call_identifier: Guid | None = None


@dataclass(frozen=True, slots=True)
class LocationConfirm:
    """LCF: there."""

    request_seq_num: Number
    call_signal_address: Place
    ras_address: Place
    destination_info: Aliases = ()
    crypto_tokens: CryptoTokens = ()


@dataclass(frozen=True, slots=True)
class LocationReject:
    """LRJ: nowhere."""

    request_seq_num: Number
    reject_reason: Word
    alt_gk_info: AlternateInfo = ()
    crypto_tokens: CryptoTokens = ()
