"""What makes ``twistd voipshift`` known to twistd.

This folder is no package: a file ``__init__.py`` here would hide everybody else's plugins.
"""

from __future__ import annotations

from twisted.application.service import ServiceMaker

voipshift = ServiceMaker(
    "voipshift",
    "voipshift.tap",
    "A node of a group of VoIP proxy servers that shift calls among themselves",
    "voipshift",
)
