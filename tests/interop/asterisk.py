"""A real H.323 terminal and gateway: Asterisk 16 with chan_ooh323, in a network namespace that the test makes itself.

The last Debian with chan_ooh323 is bullseye, so debootstrap makes a bullseye in a cache folder, once, from the mirror
that this machine's own apt uses.  Each Asterisk runs in it with a folder of its own for all that it reads and writes.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from twisted.trial.unittest import SkipTest

from tests.interop.case import InteropTestCase
from tests.interop.program import Program

#: 500 MB, made in a minute or two; they outlive the tests.  A changed recipe takes another name.
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or "/var/cache") / "voipshift"
HOME = CACHE / "asterisk-bullseye-1"
BUILD_S = 400
#: Where a test's folder is found from within :data:`HOME`.
INSIDE = "/mnt"
SIGNALLING_PORT = 1720
#: Who calls it hears its own voice back.
ECHO = "1234"

#: Whoever comes second waits and finds it done.  It is there only when it is whole.
BUILD = """\
set -eu
home=$1
[ ! -d "$home" ] || exit 0
mkdir -p "$(dirname "$home")"
exec 9>"$home.lock"
flock 9
[ ! -d "$home" ] || exit 0
rm -rf --one-file-system "$home.new"
apt-get update
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Label: Debian' | head -n 1)
debootstrap --variant=minbase bullseye "$home.new" "$mirror"
printf '#!/bin/sh\\nexit 101\\n' >"$home.new/usr/sbin/policy-rc.d"
chmod +x "$home.new/usr/sbin/policy-rc.d"
chroot "$home.new" env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \\
    asterisk asterisk-modules asterisk-ooh323 asterisk-config
chroot "$home.new" apt-get clean
mv "$home.new" "$home"
"""

#: A network and mounts that are gone with the last process in them.
NETWORK = """\
set -eu
ip link set lo up
mount -t proc proc "$1/proc"
mount --bind "$2" "$1/mnt"
echo there
exec sleep infinity
"""

#: All that Asterisk loads.
MODULES = (
    "res_sorcery_config",
    "res_pjproject",
    "res_timing_timerfd",
    "res_rtp_asterisk",
    "codec_ulaw",
    "pbx_config",
    "app_echo",
    "app_milliwatt",
    "res_clioriginate",
    "chan_ooh323",
)

FILES = {
    "asterisk.conf": """\
[directories]
astetcdir => {folder}
astvarlibdir => {folder}
astdbdir => {folder}
astcachedir => {folder}
astspooldir => {folder}
astrundir => {folder}
astlogdir => {folder}
astkeydir => {folder}
astmoddir => /usr/lib/asterisk/modules
astdatadir => /usr/share/asterisk
""",
    "modules.conf": "[modules]\nautoload=no\n" + "".join(f"load={module}.so\n" for module in MODULES),
    "logger.conf": "[logfiles]\nfull => notice,warning,error,verbose(9)\n",
    "rtp.conf": "[general]\nrtpstart=10000\nrtpend=10999\n",
    "extensions.conf": f"""\
[incoming]
exten => {ECHO},1,Answer()
 same => n,Echo()

[outgoing]
exten => tone,1,Milliwatt()
""",
    "ooh323.conf": """\
[general]
bindaddr={host}
port={port}
h323id={name}
callerid={name}
gatekeeper={gatekeeper}
{number}
context=incoming
disallow=all
allow=ulaw
logfile={folder}/h323_log
{peers}""",
}


class AsteriskTestCase(InteropTestCase):
    """A test in a network of its own, in which Asterisks run."""

    #: The first test may have to build first; every wait has its own bound.
    timeout = BUILD_S + 120
    needs: Sequence[str] = ("debootstrap", "unshare", "nsenter", "flock", "ip", "tshark")

    def setUp(self) -> None:
        """Elsewhere than in CI, which promises it, a machine that cannot do it is told so and left alone."""
        if os.environ.get("CI") != "true":
            if os.geteuid() != 0:
                raise SkipTest("only root can make a network namespace and run debootstrap")
            if shutil.which("debootstrap") is None:
                raise SkipTest("debootstrap, which makes the Debian that Asterisk runs in, is not installed")
        super().setUp()

    async def make_network(self) -> None:
        """Build Asterisk if it is not there, and make the namespace."""
        build = self.run_program("unshare", "--mount", "sh", "-c", BUILD, "sh", str(HOME))
        await build.succeeds(BUILD_S)
        words = ("unshare", "--net", "--mount", "sh", "-c", NETWORK, "sh", str(HOME), str(self.folder))
        self.network = self.run_program(*words)
        await self.network.says("^there$")

    def run_inside(self, *words: str) -> Program:
        """Start a program of this machine in that network."""
        return self.run_program("nsenter", f"--net=/proc/{self.network.pid}/ns/net", "--", *words)

    async def listens(self, host: str, port: int, kind: str = "tcp") -> None:
        """Wait until somebody listens at an address in that network."""
        number = "".join(f"{int(part):02X}" for part in reversed(host.split(".")))
        sockets = Path(f"/proc/{self.network.pid}/net/{kind}")
        listening = re.compile(rf"\d: {number}:{port:04X} 0{{8}}:0000 0[A7] ")
        await self.until(lambda: bool(listening.search(sockets.read_text())), f"{host}:{port} listens")

    async def start_asterisk(
        self, name: str, host: str, peers: dict[str, str], gatekeeper: str = "DISABLE", number: str = ""
    ) -> Asterisk:
        """Start an Asterisk and wait until it takes calls.

        :param peers: whom it may call and be called by: names with their IPv4 addresses
        :param gatekeeper: the address of its gatekeeper
        :param number: that it registers there, beside its name
        """
        folder = f"{INSIDE}/{name}"
        self.folder.joinpath(name).mkdir()
        listed = "".join(
            f"[{peer}]\ntype=friend\nip={place}\nport={SIGNALLING_PORT}\ncontext=incoming\n"
            for peer, place in peers.items()
        )
        told = {
            "name": name,
            "host": host,
            "port": str(SIGNALLING_PORT),
            "gatekeeper": gatekeeper,
            "number": f"e164={number}" if number else "",
            "folder": folder,
            "peers": listed,
        }
        for file, text in FILES.items():
            self.folder.joinpath(name, file).write_text(text.format(**told))
        asterisk = Asterisk(self, name)
        await asterisk.until_booted()
        await self.listens(host, SIGNALLING_PORT)
        return asterisk


class Asterisk:
    """A running Asterisk.

    :ivar name: also the name of its folder in the test's
    """

    def __init__(self, test: AsteriskTestCase, name: str) -> None:
        self._test = test
        self.name = name
        self._program = self._run("-f")

    async def until_booted(self) -> None:
        """Wait until all its modules run."""

        async def booted() -> bool:
            self._test.assertIsNone(self._program.status, self._program.output)
            return "fully booted" in await self.command("core waitfullybooted")

        await self._test.until(booted, f"{self.name} has booted")
        await self.command("rtp set debug on")

    async def command(self, words: str) -> str:
        """What its command line answers."""
        client = self._run("-rx", words)
        await client.ends()
        return client.output

    async def call(self, where: str) -> None:
        """Place a call that sends a tone once it is answered.

        :param where: ``1234@peer``, or ``1234`` for what the gatekeeper says
        """
        await self.command(f"channel originate OOH323/{where} extension tone@outgoing")

    async def calls(self) -> list[str]:
        """The state of each of its calls: ``Ring``, ``Up`` ..."""
        lines = await self.command("core show channels concise")
        return [line.split("!")[4] for line in lines.splitlines() if line.startswith("OOH323/")]

    async def until_calls(self, *states: str) -> None:
        """Wait until its calls are in these states."""

        async def so() -> bool:
            return await self.calls() == list(states)

        await self._test.until(so, f"{self.name} has calls: {', '.join(states) or 'none'}")

    async def hang_up(self) -> None:
        """Release all its calls."""
        await self.command("channel request hangup all")

    def heard(self) -> int:
        """How many RTP packets it has had."""
        return (self._test.folder / self.name / "full").read_text(errors="replace").count("Got  RTP packet from")

    def _run(self, *words: str) -> Program:
        place = f"/proc/{self._test.network.pid}/ns"
        enter = ("nsenter", f"--net={place}/net", f"--mount={place}/mnt", "--", "chroot", str(HOME))
        return self._test.run_program(*enter, "asterisk", "-C", f"{INSIDE}/{self.name}/asterisk.conf", *words)
