"""``voipshift call URI``: one call placed by hand, each step printed as it happens."""

from __future__ import annotations

import signal
import socket
import sys
from argparse import Namespace
from time import monotonic
from typing import cast

from twisted.internet.defer import Deferred

from voipshift.demo.caller import Call, Caller, Ended
from voipshift.demo.run import Reactor
from voipshift.errors import ConfigurationError, ProtocolViolation
from voipshift.h323 import require
from voipshift.node import Address
from voipshift.sip.uri import SipUri
from voipshift.udp import open_port

#: How long the far end may take to confirm that the call is over when it is interrupted.
PATIENCE_S = 1.0
#: Where H.323 is listened to, unless the URI says otherwise (H.225.0 section 7.1).
H323_PORT = 1720
#: For what was written last to leave.
LINGER_S = 0.05


def main(arguments: Namespace) -> int:
    """Place the call.

    :returns: the exit status: 0 when the call was answered
    """
    from twisted.internet import reactor as installed

    reactor = cast(Reactor, installed)
    if arguments.uri.lower().startswith("h323:"):
        return _h323(reactor, arguments)
    try:
        uri = SipUri.parse(arguments.uri)
        port_address = _own_address(_locate(uri)), 0
    except (ProtocolViolation, OSError) as error:
        print(f"voipshift call: {arguments.uri} cannot be called: {error}", file=sys.stderr)
        return 1
    began = monotonic()
    caller = Caller(reactor, lambda step: print(f"{monotonic() - began:7.3f} s  {step}", flush=True), _locate)
    port = open_port(port_address, caller.received)
    port.start(reactor)
    caller.begin(port.send, port.address)
    endings: list[Ended] = []

    def place() -> None:
        call = caller.place(uri, arguments.hold)
        reactor.addSystemEventTrigger("before", "shutdown", _hang_up, reactor, call)
        call.ended.addCallback(finish)

    def finish(ended: Ended) -> None:
        endings.append(ended)
        if not interrupted:
            reactor.stop()

    interrupted: list[bool] = []
    reactor.addSystemEventTrigger("before", "shutdown", interrupted.append, True)
    # A shell starts what runs in its background with SIGINT ignored, and the reactor would leave it so.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    reactor.callWhenRunning(place)
    reactor.run()
    caller.stop()
    port.stop()
    return _told(endings)


def _told(endings: list[Ended]) -> int:
    """Say what became of the call.

    :returns: the exit status
    """
    for ended in endings:
        print(f"{ended.outcome.value}: {ended.reason}")
        if ended.setup_s is not None:
            print(f"set up in {ended.setup_s * 1000:.1f} ms, redirects: {ended.redirects}")
    return 0 if endings and endings[0].setup_s is not None else 1


def _h323(reactor: Reactor, arguments: Namespace) -> int:
    """Place a call by H.323, ``h323:NUMBER@HOST[:PORT]``."""
    number, _, place = arguments.uri[5:].rpartition("@")
    try:
        require("", "voipshift call")
        if not number:
            raise ProtocolViolation("say whom, and where: h323:1234@192.0.2.7")
        host, port = SipUri.parse(f"sip:{place}").address(H323_PORT)
        address = str(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][4][0]), port
    except (ConfigurationError, ProtocolViolation, OSError) as error:
        print(f"voipshift call: {arguments.uri} cannot be called: {error}", file=sys.stderr)
        return 1
    from voipshift.demo.h323caller import Call as H323Call

    began = monotonic()
    call = H323Call(
        reactor, number, arguments.hold, lambda step: print(f"{monotonic() - began:7.3f} s  {step}", flush=True)
    )
    endings: list[Ended] = []

    def finish(ended: Ended) -> None:
        endings.append(ended)
        if reactor.running:
            reactor.callLater(LINGER_S, _stop, reactor)

    call.ended.addCallback(finish)
    reactor.addSystemEventTrigger("before", "shutdown", call.hang_up)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    reactor.callWhenRunning(call.begin, address)
    reactor.run()
    return _told(endings)


def _stop(reactor: Reactor) -> None:
    if reactor.running:
        reactor.stop()


def _hang_up(reactor: Reactor, call: Call) -> Deferred[object]:
    """Called when the reactor is to stop: the far end should not be left with half a call."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # it stops already
    call.hang_up()
    gone: Deferred[object] = Deferred()
    late = reactor.callLater(PATIENCE_S, gone.callback, None)

    def ended(result: Ended) -> Ended:
        if late.active():
            late.cancel()
            gone.callback(None)
        return result

    call.ended.addCallback(ended)
    return gone


def _locate(uri: SipUri) -> Address:
    """Look the host up.  Nothing else runs in this process, so that it may wait.

    :raises OSError: there is no such host
    """
    if uri.scheme != "sip" or (uri.parameters.get("transport") or "udp").lower() != "udp":
        raise ProtocolViolation("only SIP over UDP is spoken here")
    host, port = uri.address()
    return str(socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0][4][0]), port


def _own_address(far: Address) -> str:
    """The local address from which packets go there."""
    family = socket.AF_INET6 if ":" in far[0] else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.connect(far)
        return str(probe.getsockname()[0])
