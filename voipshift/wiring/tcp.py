"""The TCP and TLS ports of a node: what the settings say of them, made ready for the stream door."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from voipshift import config
from voipshift.errors import ConfigurationError
from voipshift.node import Address
from voipshift.sip.server import SipServer
from voipshift.sip.streams import Streams
from voipshift.sip.tls import Credentials
from voipshift.wiring.taken import named


def streams_of(
    settings: config.Settings,
    reactor: Any,
    sip: SipServer,
    trusted: Callable[[str], bool],
    domain_of: Callable[[Address], str],
) -> Streams:
    """The stream connections of a node, none yet.

    :param domain_of: whose certificate is expected at an address that is not a gateway's by the configuration
    """
    domains = {gateway.address: gateway.domain for gateway in settings.gateways if gateway.domain is not None}
    return Streams(
        reactor=reactor,
        received=sip.received,
        undelivered=sip.undelivered,
        trusted=trusted,
        domain_of=lambda address: domains.get(address) or domain_of(address),
    )


def open_port(settings: config.Settings, index: int, streams: Streams) -> None:
    """Bind the port of a ``[[sip.listen]]`` over TCP or TLS.

    :raises ConfigurationError: it is taken, or its certificate cannot be used
    """
    sip, listen = settings.sip, settings.sip.listen[index]
    try:
        with named(settings.file, f"sip.listen[{index}].address", listen.address, "tcp"):
            streams.listen(index, listen.address, _credentials(sip, listen))
    except ValueError as error:
        raise ConfigurationError(settings.file, "sip.tls", f"{error}") from None


def _credentials(sip: config.SipSettings, listen: config.SipListen) -> Credentials | None:
    files = sip.files(listen)
    if listen.transport != "tls" or files is None:
        return None
    asked = sip.tls.clients
    return Credentials(*files, sip.tls.authorities, ask_clients=asked != "any", demand=asked == "required")
