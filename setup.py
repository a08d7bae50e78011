"""Builds voipshift as it stands, or with its rooms compiled: ``VOIPSHIFT_COMPILED=1``, as ``make compiled`` does.

Everything else is said in setup.cfg.  mypyc translates typed Python to C; what is compiled behaves as what is not, at
half the processor time or less (README.rst, "How fast it is").  It checks types first, and so needs what ``dev``
installs beside voipshift's own requirements, a C compiler, and Python's headers.
"""

import os
from pathlib import Path

from setuptools import setup

#: The rooms that a call attempt walks through.
ROOMS = ("balance", "calls", "delegation", "group", "sip")
#: What they share, the port beneath them, and what each decision goes through in the wiring.
MODULES = (
    "alarm",
    "batch",
    "entropy",
    "interval",
    "node",
    "udp",
    "value",
    "wiring/announcing",
    "wiring/lapsing",
    "wiring/membership",
)
#: What mypyc does not take: a generator that Twisted steps through, a class that is made where it is needed.
INTERPRETED = ("calls/terminals", "group/bus")


def modules() -> list[str]:
    """The files to compile."""
    package = Path("voipshift")
    files = [file for room in ROOMS for file in sorted((package / room).glob("[!_]*.py"))]
    files += [package / f"{name}.py" for name in MODULES]
    left = {package / f"{name}.py" for name in INTERPRETED}
    return [str(file) for file in files if file not in left]


if os.environ.get("VOIPSHIFT_COMPILED") == "1":
    from mypyc.build import mypycify

    extensions = mypycify(modules(), opt_level="3")
    for extension in extensions:
        # All that is compiled calls each other directly: nobody puts another function of the same name in between.
        extension.extra_compile_args += ["-fno-semantic-interposition", "-fno-plt"]
    setup(ext_modules=extensions)
else:
    setup()
