"""Kamailio as the proxy on the other side: a neighbour that brings calls, or what stands before a gateway.

It is a transaction stateful, record-routing proxy that sends every call to one place, over UDP or TLS, and follows the
redirections on its callers' behalf.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tests.interop.case import InteropTestCase
from tests.interop.program import Program
from voipshift.demo.plan import LOOPBACK

#: Where distributions install its modules.
_MODULES = "*/kamailio/modules"

_CONFIG = """\
#!KAMAILIO
debug=1
log_stderror=yes
fork=yes
children=2
tcp_children=2
disable_tcp={no_tcp}
{listen}
mpath="{modules}"
loadmodule "kex.so"
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "rr.so"
loadmodule "pv.so"
loadmodule "maxfwd.so"
loadmodule "textops.so"
loadmodule "siputils.so"
loadmodule "acc.so"
loadmodule "uac_redirect.so"
{tls}
request_route {{
    if (!mf_process_maxfwd_header("70")) {{ sl_send_reply("483", "Too Many Hops"); exit; }}
    if (is_method("OPTIONS")) {{ sl_send_reply("200", "OK"); exit; }}
    if (is_method("CANCEL")) {{ if (t_check_trans()) {{ t_relay(); }} exit; }}
    if (has_totag()) {{
        if (!loose_route() && !is_method("ACK")) {{ sl_send_reply("404", "Not Here"); exit; }}
        t_relay();
        exit;
    }}
    record_route();
    $du = "sip:{to}";
    t_on_failure("REDIRECTED");
    t_relay();
}}
failure_route[REDIRECTED] {{
    if (t_check_status("3[0-9][0-9]")) {{ get_redirects("*"); t_relay(); }}
}}
"""
_TLS = """\
loadmodule "tls.so"
modparam("tls", "tls_method", "TLSv1.2+")
modparam("tls", "certificate", "{certificate}")
modparam("tls", "private_key", "{key}")
modparam("tls", "ca_list", "{authorities}")
modparam("tls", "verify_certificate", 1)
modparam("tls", "require_certificate", 1)
"""


@dataclass(frozen=True, slots=True)
class Certificates:
    """The files that Kamailio shows at TLS, and who it believes."""

    certificate: str
    key: str
    authorities: str


async def kamailio(
    test: InteropTestCase, port: int, to: str, *, tls_port: int | None = None, certificates: Certificates | None = None
) -> Program:
    """Start a Kamailio and wait until it listens.

    :param port: its UDP port of loopback
    :param to: where it sends calls, as the end of a SIP URI: ``127.0.0.1:5060``
    :param tls_port: its port of TLS
    """
    modules = next((str(found) for found in Path("/usr/lib").glob(_MODULES)), None)
    test.assertIsNotNone(modules, "Kamailio is there, but none of its modules")
    listen, tls = [f"listen=udp:{LOOPBACK}:{port}"], ""
    if tls_port is not None and certificates is not None:
        listen.append(f"listen=tls:{LOOPBACK}:{tls_port}\nenable_tls=yes")
        tls = _TLS.format(
            certificate=certificates.certificate, key=certificates.key, authorities=certificates.authorities
        )
    file = test.folder / "kamailio.cfg"
    file.write_text(
        _CONFIG.format(listen="\n".join(listen), modules=modules, tls=tls, to=to, no_tcp="no" if tls else "yes")
    )
    words = ["-f", str(file), "-DD", "-E", "-Y", str(test.folder), "-m", "64", "-M", "16"]
    program = test.run_program("kamailio", *words)
    await program.says(r"Listening on")
    return program
