"""A node whose configuration asks for H.323 without pycrate is told so in one line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from voipshift import h323
from voipshift.errors import ConfigurationError

ROOT = Path(__file__).parent.parent


class RequireTests(SynchronousTestCase):
    """Whether H.323 can be spoken here."""

    def test_installed(self) -> None:
        """Nothing is said."""
        h323.require("primary.toml")

    def test_missing(self) -> None:
        """File, key and what to do are said."""
        self.patch(h323, "find_spec", lambda name: None)
        error = self.assertRaises(ConfigurationError, h323.require, "primary.toml")
        self.assertEqual(str(error), "primary.toml: h323: H.323 needs pycrate: pip install 'voipshift[h323]'")

    def test_not_imported(self) -> None:
        """To ask costs nothing: pycrate takes a tenth of a second and 14 MB, and is imported by who needs it."""
        source = "import sys, voipshift.h323.callstate, voipshift.h323.tpkt; print('pycrate_asn1dir' in sys.modules)"
        done = subprocess.run((sys.executable, "-c", source), cwd=ROOT, capture_output=True, text=True, timeout=60)
        self.assertEqual((done.stdout, done.stderr), ("False\n", ""))
