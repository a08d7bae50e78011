"""What a carrying node is measured beside: Kamailio as a dialog stateful proxy, and Sippy's back-to-back user agent.

Kamailio does what a node does with a call: a transaction (tm), its place in the route of the dialog (rr), and a table
of the calls under way (dialog).  One child, its fast allocator for private and shared memory (``-x fm -X fm``), nothing
logged.

Sippy's ``b2bua_simple`` (``pip install sippy``) is the other SIP server in Python: it ends each call and begins another
one, and logs nothing here.
"""

from __future__ import annotations

import sys
from functools import partial
from importlib.util import find_spec

from bench.processes import Starter, await_answer, family, free_ports
from bench.rivals import KAMAILIO, PATIENCE_S, Server, modules, options

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
loadmodule "tm.so"
loadmodule "rr.so"
loadmodule "dialog.so"
loadmodule "maxfwd.so"
loadmodule "siputils.so"
loadmodule "textops.so"
modparam("rr", "append_fromtag", 0)
modparam("dialog", "dlg_match_mode", 1)
request_route {{
    if (!mf_process_maxfwd_header("70")) {{
        sl_send_reply("483", "Too Many Hops");
        exit;
    }}
    if (is_method("OPTIONS")) {{
        sl_send_reply("200", "OK");
        exit;
    }}
    if (has_totag()) {{
        loose_route();
        t_relay();
        exit;
    }}
    if (is_method("INVITE")) {{
        record_route();
        dlg_manage();
    }}
    $du = "sip:127.0.0.1:{gateway}";
    t_relay();
}}
"""


def kamailio(starter: Starter, gateway: int) -> Server | None:
    """Start a Kamailio that sends every call to that port; None where it is not installed."""
    found = modules()
    if KAMAILIO is None or found is None:
        return None
    port = free_ports(1)[0]
    folder = starter.folder / "kamailio-proxy"
    folder.mkdir()
    configuration = folder / "kamailio.cfg"
    configuration.write_text(_KAMAILIO_CFG.format(port=port, modules=found, gateway=gateway))
    words = [KAMAILIO, "-f", str(configuration), "-DD", "-E", "-x", "fm", "-X", "fm", "-m", "256", "-M", "16"]
    process = starter.start(*words, "-Y", str(folder), "-P", str(folder / "pid"), log="kamailio-proxy.log")
    address = ("127.0.0.1", port)
    if not await_answer(address, partial(options, address), b"SIP/2.0 200", PATIENCE_S):
        raise SystemExit((starter.folder / "kamailio-proxy.log").read_text() or "Kamailio does not answer")
    return Server("kamailio", address, family(process))


def sippy(starter: Starter, gateway: int) -> Server | None:
    """Start Sippy's back-to-back user agent; None where it is not installed."""
    if find_spec("sippy") is None:
        return None
    address = ("127.0.0.1", free_ports(1)[0])
    words = ["-f", "-l", address[0], "-p", str(address[1]), "-n", f"127.0.0.1:{gateway}", "-L", "/dev/null"]
    process = starter.start(
        "env", "SIPLOG_BEND=none", sys.executable, "-m", "sippy.b2bua_simple", *words, log="sippy.log"
    )
    # It knows no OPTIONS.
    if not await_answer(address, partial(options, address), b"SIP/2.0 501", PATIENCE_S):
        raise SystemExit((starter.folder / "sippy.log").read_text() or "Sippy does not answer")
    return Server("sippy", address, family(process))
