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
from voipshift.errors import ProtocolViolation
from voipshift.node import Address
from voipshift.sip.uri import SipUri
from voipshift.udp import open_port

#: How long the far end may take to confirm that the call is over when it is interrupted.
PATIENCE_S = 1.0


def main(arguments: Namespace) -> int:
    """Place the call.

    :returns: the exit status: 0 when the call was answered
    """
    from twisted.internet import reactor as installed

    reactor = cast(Reactor, installed)
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
    for ended in endings:
        print(f"{ended.outcome.value}: {ended.reason}")
        if ended.setup_s is not None:
            print(f"set up in {ended.setup_s * 1000:.1f} ms, redirects: {ended.redirects}")
    return 0 if endings and endings[0].setup_s is not None else 1


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
