"""What a redirecting node is measured beside: a bare echo in Twisted, and Kamailio.

The echo is the least that a Twisted server can do with a datagram: ``DatagramProtocol`` writes back what it got.  Run
as a program this module is that echo.

Kamailio is the fastest SIP server that there is for this: dispatcher chooses a destination from a list file by round
robin (``ds_select_dst``) and the script answers 302 with it; it keeps no transaction and knows of no workload.  One
child, its fast allocator for private and shared memory (``-x fm -X fm``), nothing else loaded, nothing logged.
"""

from __future__ import annotations

import secrets
import shutil
import sys
from functools import partial
from pathlib import Path

from bench.processes import Starter, await_answer, family, free_ports

#: For a server to begin to answer.
PATIENCE_S = 10.0
KAMAILIO = shutil.which("kamailio") or shutil.which("kamailio", path="/usr/sbin:/usr/local/sbin")

_KAMAILIO_CFG = """\
#!KAMAILIO
debug=-1
log_stderror=yes
children=1
disable_tcp=yes
auto_aliases=no
dns=no
rev_dns=no
server_signature=no
listen=udp:127.0.0.1:{port}
mpath="{modules}"
loadmodule "sl.so"
loadmodule "pv.so"
loadmodule "textops.so"
loadmodule "dispatcher.so"
modparam("dispatcher", "list_file", "{list_file}")
request_route {{
    if (is_method("INVITE")) {{
        if (!ds_select_dst("1", "4")) {{
            sl_send_reply("503", "Service Unavailable");
            exit;
        }}
        append_to_reply("Contact: <sip:$rU@$(du{{s.substr,4,0}})>\\r\\n");
        sl_send_reply("302", "Moved Temporarily");
        exit;
    }}
    if (is_method("OPTIONS")) sl_send_reply("200", "OK");
}}
"""
_OPTIONS = (
    "OPTIONS sip:{place} SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:9;rport;branch=z9hG4bK{call}\r\nMax-Forwards: 70\r\n"
    "From: <sip:bench@127.0.0.1>;tag=0\r\nTo: <sip:{place}>\r\nCall-ID: {call}@127.0.0.1\r\nCSeq: 1 OPTIONS\r\n"
    "Content-Length: 0\r\n\r\n"
)


class Server:
    """A server that is measured.

    :ivar name: what the figures call it
    :ivar address: where it answers
    :ivar pids: all its processes
    :ivar first: those whose share is shown apart: the primary
    """

    def __init__(self, name: str, address: tuple[str, int], pids: list[int], first: list[int] | None = None) -> None:
        self.name = name
        self.address = address
        self.pids = pids
        self.first = first


def echo(starter: Starter) -> Server:
    """Start the bare echo."""
    address = ("127.0.0.1", free_ports(1)[0])
    process = starter.start_python("-m", "bench.rivals", str(address[1]), log="echo.log")
    if not await_answer(address, lambda: b"?", b"?", PATIENCE_S):
        raise SystemExit((starter.folder / "echo.log").read_text() or "the echo does not answer")
    return Server("echo", address, family(process))


def kamailio(starter: Starter) -> Server | None:
    """Start Kamailio; None where it is not installed."""
    if KAMAILIO is None:
        return None
    found = modules()
    if found is None:
        return None
    port, *destinations = free_ports(3)
    folder = starter.folder / "kamailio"
    folder.mkdir()
    list_file = folder / "dispatcher.list"
    list_file.write_text("".join(f"1 sip:127.0.0.1:{destination}\n" for destination in destinations))
    configuration = folder / "kamailio.cfg"
    configuration.write_text(_KAMAILIO_CFG.format(port=port, modules=found, list_file=list_file))
    words = [KAMAILIO, "-f", str(configuration), "-DD", "-E", "-x", "fm", "-X", "fm", "-m", "64", "-M", "16"]
    process = starter.start(*words, "-Y", str(folder), "-P", str(folder / "pid"), log="kamailio.log")
    address = ("127.0.0.1", port)
    if not await_answer(address, partial(options, address), b"SIP/2.0 200", PATIENCE_S):
        raise SystemExit((starter.folder / "kamailio.log").read_text() or "Kamailio does not answer")
    return Server("kamailio", address, family(process))


def options(address: tuple[str, int]) -> bytes:
    """A question whether a SIP server is there, in a transaction of its own."""
    return _OPTIONS.format(place="{}:{}".format(*address), call=secrets.token_hex(8)).encode()


def modules() -> str | None:
    """Where Kamailio's modules are."""
    found = [*Path("/usr/lib").glob("**/kamailio/modules"), *Path("/usr/local").glob("lib*/kamailio/modules")]
    return str(found[0]) if found else None


def main() -> int:
    """The echo's process."""
    from twisted.internet import reactor
    from twisted.internet.protocol import DatagramProtocol

    class Echo(DatagramProtocol):
        def datagramReceived(self, datagram: bytes, addr: tuple[str, int]) -> None:
            assert self.transport is not None
            self.transport.write(datagram, addr)

    reactor.listenUDP(int(sys.argv[1]), Echo(), interface="127.0.0.1")  # type: ignore[attr-defined]
    reactor.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
