"""H.323: call signalling (H.225.0 over TCP) and RAS (over UDP).

Pure but for the door: octets, addresses and the time come in as arguments, and what is to be done is returned.

The ASN.1 definitions of the ITU-T are pycrate's, which is large: it is installed with ``voipshift[h323]`` only, and
no file here that needs it may be imported before :func:`require`.
"""

from __future__ import annotations

from importlib.util import find_spec

from voipshift.errors import ConfigurationError


def require(file: str, key: str = "h323") -> None:
    """Make sure that what this room needs is installed.

    :param file: the configuration file that asks for H.323, as the operator named it
    :raises ConfigurationError: it is not, in one line that says what to do
    """
    if find_spec("pycrate_asn1dir") is None:
        raise ConfigurationError(file, key, "H.323 needs pycrate: pip install 'voipshift[h323]'")
