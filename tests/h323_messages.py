"""Messages of H.323 for the tests: one of every kind that a node or a terminal writes, and octets of real calls."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha1
from hmac import digest

from voipshift.h323 import q931, ras, signalling, uuie
from voipshift.h323.addresses import Alias, AlternateGatekeeper, EndpointType, alias_of
from voipshift.h323.admission import (
    AdmissionConfirm,
    AdmissionReject,
    AdmissionRequest,
    BandwidthConfirm,
    BandwidthReject,
    BandwidthRequest,
    DisengageConfirm,
    DisengageReject,
    DisengageRequest,
    LocationConfirm,
    LocationReject,
    LocationRequest,
)
from voipshift.h323.procedure import HashedToken
from voipshift.h323.q931 import Element, MessageType
from voipshift.h323.registration import (
    GatekeeperConfirm,
    GatekeeperReject,
    GatekeeperRequest,
    Refusal,
    RegistrationConfirm,
    RegistrationReject,
    RegistrationRequest,
    UnregistrationConfirm,
    UnregistrationReject,
    UnregistrationRequest,
)
from voipshift.h323.resources import (
    CallCapacity,
    InfoRequest,
    InfoRequestAck,
    InfoRequestNak,
    InfoRequestResponse,
    PerCall,
    RequestInProgress,
    ResourcesAvailableConfirm,
    ResourcesAvailableIndicate,
    UnknownMessageResponse,
)
from voipshift.h323.tokens import CISCO_ACCESS_TOKEN, MD5, access_token, password_hash
from voipshift.h323.uuie import PROTOCOL, UserInformation

CONFERENCE = bytes(range(16))
CALL = bytes(range(16, 32))
FRONT = ("192.0.2.7", 1720)
ACCEPT = ("192.0.2.7", 1721)
RAS = ("192.0.2.7", 1719)
PHONE = ("192.0.2.1", 1720)
ALTERNATES = (
    AlternateGatekeeper(("192.0.2.8", 1719), "member1"),
    AlternateGatekeeper(("2001:db8::9", 1719), "member2", False, 127),
)
ALIASES = (alias_of("1001"), alias_of("alice"), Alias("url-ID", "alice@example.com"), Alias("partyNumber", "4930123"))
CALLED = (alias_of("1234"),)
TERMINAL = EndpointType("terminal", "phone")
TOKENS = (access_token("alice", "secret", 1700000000, 7),)
CRYPTO_TOKENS = (password_hash(alias_of("alice"), "secret", 1700000000),)

#: Channels that a fast start proposes: audio out and in, H.261 video, T.38 fax.
AUDIO_OUT = bytes.fromhex("0000000c6013800a04000100c00002012711")
AUDIO_IN = bytes.fromhex("400000060401004c6013801114000100c0000201271000c00002012711")
VIDEO = bytes.fromhex("000001085800184840000a04000200c00002012711")
FAX = bytes.fromhex("000002110411860100807c0100014007c00200c80148400090800a04000300c00002012711")
#: A masterSlaveDetermination of H.245.
TUNNELLED = bytes.fromhex("01003c8012d687")

RAS_MESSAGES: tuple[ras.Message, ...] = (
    GatekeeperRequest(1, PROTOCOL, PHONE, TERMINAL, "primary", ALIASES, TOKENS, CRYPTO_TOKENS),
    GatekeeperRequest(
        1, PROTOCOL, PHONE, TERMINAL, authentication_capability=("pwdHash", "radius"), algorithm_oids=(MD5,)
    ),
    GatekeeperConfirm(1, PROTOCOL, RAS, "primary", ALTERNATES),
    GatekeeperConfirm(1, PROTOCOL, RAS, "primary", (), "pwdHash", MD5),
    GatekeeperConfirm(1, PROTOCOL, RAS, "primary", (), "radius", CISCO_ACCESS_TOKEN),
    GatekeeperReject(65535, PROTOCOL, "resourceUnavailable", "primary", ALTERNATES),
    GatekeeperReject(1, PROTOCOL, "terminalExcluded"),
    RegistrationRequest(
        2,
        PROTOCOL,
        True,
        (PHONE, ("2001:db8::1", 1720)),
        (PHONE,),
        EndpointType("gateway", "gw", ("12", "34")),
        "gw",
        ALIASES,
        "primary",
        60,
        TOKENS,
        CRYPTO_TOKENS,
        capacity=CallCapacity(30, 10),
    ),
    RegistrationRequest(
        3,
        PROTOCOL,
        False,
        (PHONE,),
        (PHONE,),
        TERMINAL,
        "phone",
        time_to_live=60,
        keep_alive=True,
        endpoint_identifier="1",
    ),
    RegistrationConfirm(2, PROTOCOL, (FRONT,), "1", ALIASES, "primary", ALTERNATES, 60),
    RegistrationConfirm(3, PROTOCOL, (), "1"),
    RegistrationReject(2, PROTOCOL, Refusal("duplicateAlias", ALIASES), "primary"),
    RegistrationReject(2, PROTOCOL, Refusal("resourceUnavailable"), "primary", ALTERNATES),
    RegistrationReject(2, PROTOCOL, Refusal("fullRegistrationRequired")),
    UnregistrationRequest(4, (PHONE,), ALIASES, "1", reason="maintenance", alternate_gatekeeper=ALTERNATES),
    UnregistrationConfirm(4),
    UnregistrationReject(4, "notCurrentlyRegistered", ALTERNATES),
    AdmissionRequest(
        5,
        "pointToPoint",
        "1",
        ALIASES,
        1280,
        4711,
        CONFERENCE,
        call_model="gatekeeperRouted",
        destination_info=CALLED,
        src_call_signal_address=PHONE,
        can_map_alias=True,
        call_identifier=CALL,
        gatekeeper_identifier="primary",
        tokens=TOKENS,
        crypto_tokens=CRYPTO_TOKENS,
    ),
    AdmissionRequest(6, "pointToPoint", "2", ALIASES, 1280, 4712, CONFERENCE, answer_call=True),
    AdmissionConfirm(5, 1280, "gatekeeperRouted", ACCEPT, 120, CALLED),
    AdmissionReject(5, "resourceUnavailable", ALTERNATES, (FRONT,)),
    AdmissionReject(5, "securityDenial"),
    BandwidthRequest(7, "1", CONFERENCE, 4711, 2560, "pointToPoint", CALL, "primary", TOKENS, CRYPTO_TOKENS, True),
    BandwidthConfirm(7, 4294967295),
    BandwidthReject(7, "insufficientResources", 1280, ALTERNATES),
    DisengageRequest(8, "1", CONFERENCE, 4711, "normalDrop", CALL, "primary", TOKENS, CRYPTO_TOKENS, True),
    DisengageConfirm(8),
    DisengageReject(8, "requestToDropOther", ALTERNATES),
    LocationRequest(9, CALLED, RAS, None, ALIASES, True, "far", hop_count=6, call_identifier=CALL),
    LocationConfirm(9, ACCEPT, RAS, CALLED),
    LocationReject(9, "hopCountExceeded", ALTERNATES),
    InfoRequest(10, 0, RAS),
    InfoRequestResponse(
        10,
        TERMINAL,
        "1",
        PHONE,
        (PHONE,),
        ALIASES,
        (PerCall(4711, CONFERENCE, CALL), PerCall(4712, CONFERENCE, None)),
        need_response=True,
        capacity=CallCapacity(None, 3),
        unsolicited=True,
    ),
    InfoRequestAck(10),
    InfoRequestNak(10, "notRegistered", ALTERNATES),
    ResourcesAvailableIndicate(11, PROTOCOL, "1", True, ("voice", "h323"), capacity=CallCapacity(100, 0)),
    ResourcesAvailableConfirm(11, PROTOCOL),
    RequestInProgress(12, 500),
    UnknownMessageResponse(13, b"\x01\x02"),
)

#: A token of a message that is signed; its MAC is none of any.
HASHED = HashedToken(2, 1700000000, 7, "primary", "1", bytes(range(1, 13)))
#: The same messages, signed.
SIGNED_MESSAGES: tuple[ras.Message, ...] = tuple(replace(message, crypto_tokens=(HASHED,)) for message in RAS_MESSAGES)

#: In place of a MAC, until there is one.
MARKER = bytes.fromhex("8f3c1d7a52e6b94081f7c25d")


def sign(
    message: ras.Message, password: str, sender: str, number: int = 1, receiver: str = "one", at: int = 1700000000
) -> bytes:
    """A message as a terminal signs it: HMAC-SHA1 under the SHA-1 of the password, over all with zeros in its place."""
    octets = ras.encode(replace(message, crypto_tokens=(HashedToken(2, at, number, receiver, sender, MARKER),)))
    zeroed = octets.replace(MARKER, bytes(12))
    return octets.replace(MARKER, digest(sha1(password.encode()).digest(), zeroed, "sha1")[:12])


#: A request to connect with all that a terminal may say.
SETUP = uuie.Setup(
    PROTOCOL,
    TERMINAL,
    CONFERENCE,
    CALL,
    ALIASES,
    CALLED,
    PHONE,
    FRONT,
    tokens=TOKENS,
    crypto_tokens=CRYPTO_TOKENS,
    fast_start=(AUDIO_OUT, AUDIO_IN, VIDEO, FAX),
    endpoint_identifier="1",
    hop_count=5,
)
#: One of version 1, which had no callIdentifier, and whose caller only dialled.
PLAIN_SETUP = uuie.Setup((0, 0, 8, 2250, 0, 1), EndpointType("terminal"), CONFERENCE, h245_address=("192.0.2.1", 4000))

_PROGRESS = (Element.PROGRESS_INDICATOR, b"\x80\x88")
_NOTIFICATION = (Element.NOTIFICATION_INDICATOR, b"\x80")
_FACILITY = (Element.FACILITY, b"")


def signal(type: MessageType, body: uuie.Body, *elements: tuple[int, bytes], reference: int = 4711) -> bytes:
    """The contents of a TPKT that hold a message; a SETUP is from the side that begins the call."""
    octets = uuie.encode(UserInformation(body, True, () if isinstance(body, uuie.Setup) else (TUNNELLED,)))
    from_destination = not isinstance(body, uuie.Setup)
    return q931.Message(type, reference, from_destination, (*elements, q931.user_user(octets))).octets()


SETUP_OCTETS = signal(
    MessageType.SETUP,
    SETUP,
    (Element.BEARER_CAPABILITY, q931.BEARER),
    (Element.DISPLAY, b"alice\0"),
    q931.calling_number("1001"),
    q931.called_number("1234"),
)
PLAIN_SETUP_OCTETS = signal(
    MessageType.SETUP, PLAIN_SETUP, (Element.BEARER_CAPABILITY, q931.BEARER), q931.called_number("1234")
)

#: What a terminal answers.
ANSWERS: tuple[tuple[MessageType, uuie.Body, tuple[tuple[int, bytes], ...]], ...] = (
    (MessageType.ALERTING, uuie.Alerting(PROTOCOL, TERMINAL, CALL, PHONE, (AUDIO_OUT,)), ()),
    (MessageType.CONNECT, uuie.Connect(PROTOCOL, TERMINAL, CONFERENCE, CALL, PHONE, (AUDIO_OUT, AUDIO_IN)), ()),
    (MessageType.PROGRESS, uuie.Progress(PROTOCOL, TERMINAL, CALL, PHONE, (AUDIO_OUT,)), (_PROGRESS,)),
    (MessageType.INFORMATION, uuie.Information(PROTOCOL, CALL), ()),
    (MessageType.NOTIFY, uuie.Notify(PROTOCOL, CALL), (_NOTIFICATION,)),
    (MessageType.STATUS_ENQUIRY, uuie.StatusInquiry(PROTOCOL, CALL), ()),
    (MessageType.SETUP_ACKNOWLEDGE, uuie.SetupAcknowledge(PROTOCOL, CALL), ()),
    (MessageType.FACILITY, uuie.Empty(), (_FACILITY,)),
)


def signals() -> list[bytes]:
    """The contents of one TPKT for each message of call signalling that is ever written."""
    setup, plain = signalling.parse(SETUP_OCTETS), signalling.parse(PLAIN_SETUP_OCTETS)
    written = [SETUP_OCTETS, PLAIN_SETUP_OCTETS]
    written += [signal(type, body, *elements) for type, body, elements in ANSWERS]
    for each in (setup, plain):
        written += [
            signalling.call_proceeding(each),
            signalling.call_forwarded(each, ACCEPT),
            signalling.status(each, 3),
            signalling.setup_sent_on(each, 1, ("198.51.100.1", 40000), ("198.51.100.2", 1720)),
            signalling.setup_sent_on(each, 32767, ("2001:db8::1", 40000), ("2001:db8::2", 1720), (alias_of("34"),)),
            signalling.release_complete(each, None, cause=q931.NO_ANSWER),
            signalling.release_complete(each, None, cause=q931.TIMER_EXPIRED, from_destination=False),
        ]
        written += [signalling.release_complete(each, reason) for reason in signalling.CAUSES]
    return written
