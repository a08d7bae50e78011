"""A telephone: baresip, with a folder of its own, that sounds a tone and records what it hears."""

from __future__ import annotations

import math
import struct
import wave
from pathlib import Path

from tests.interop.case import InteropTestCase
from tests.interop.program import Program
from voipshift.demo.plan import LOOPBACK

SAMPLES_PER_S = 8000
#: What it sounds, and how loud, of 32767.
TONE_HZ = 440
AMPLITUDE = 8000
#: Octets before the samples in a file of them.
WAVE_HEAD = 44
#: Where distributions install its modules.
MODULES = ("baresip/modules/menu.so", "*/baresip/modules/menu.so")

_CONFIG = """\
sip_listen {place}
net_interface 127.0.0.1
module_path {modules}
module g711.so
module aufile.so
module_app account.so
module_app menu.so
audio_source aufile,{folder}/tone.wav
module aubridge.so
module sndfile.so
audio_player aubridge,nowhere
snd_path {folder}
"""
_TLS = """\
sip_certificate {pem}
sip_cafile {authorities}
sip_verify_server yes
"""


class Telephone:
    """One telephone.

    :param user: whose it is; its folder has that name
    :param server: its registrar, as ``127.0.0.1:5060``
    :param port: its own
    :param outbound: its outbound proxy, as ``127.0.0.1:5060``; none where nothing is said
    :param pem: certificate and key in one file, and ``authorities`` whom it believes, for TLS
    :ivar program: the running baresip
    """

    def __init__(
        self,
        test: InteropTestCase,
        user: str,
        password: str,
        server: str,
        port: int,
        *words: str,
        transport: str = "udp",
        pem: str = "",
        authorities: str = "",
        outbound: str = "",
    ) -> None:
        modules = next((found.parent for each in MODULES for found in Path("/usr/lib").glob(each)), None)
        test.assertIsNotNone(modules, "baresip is there, but none of its modules")
        self._folder = test.folder / user
        self._folder.mkdir()
        config = _CONFIG.format(place=f"{LOOPBACK}:{port}", modules=modules, folder=self._folder)
        if pem:
            config += _TLS.format(pem=pem, authorities=authorities)
        (self._folder / "config").write_text(config)
        account = f'<sip:{user}@{server};transport={transport}>;auth_user={user};auth_pass="{password}"'
        if outbound:
            account += f';outbound="sip:{outbound};transport={transport}"'
        (self._folder / "accounts").write_text(f"{account};regint=120;answermode=auto\n")
        _write_tone(self._folder / "tone.wav")
        self.program: Program = test.run_program("baresip", "-f", str(self._folder), "-s", *words)

    def heard(self) -> bytes:
        """The samples that it recorded so far, of 16 bits each."""
        recorded = b"".join(file.read_bytes()[WAVE_HEAD:] for file in self._folder.glob("dump-*-dec.wav"))
        return recorded[: len(recorded) // 2 * 2]

    def hears_tone(self) -> bool:
        """Whether it recorded a quarter of a second of the other end's tone."""
        samples = struct.iter_unpack("<h", self.heard())
        return sum(abs(int(sample)) > AMPLITUDE / 2 for (sample,) in samples) > SAMPLES_PER_S / 4


def _write_tone(file: Path) -> None:
    """Write a second of what it sounds."""
    samples = (
        round(AMPLITUDE * math.sin(2 * math.pi * TONE_HZ * number / SAMPLES_PER_S)) for number in range(SAMPLES_PER_S)
    )
    with wave.open(str(file), "wb") as tone:
        tone.setparams((1, 2, SAMPLES_PER_S, 0, "NONE", ""))
        tone.writeframes(b"".join(struct.pack("<h", sample) for sample in samples))
