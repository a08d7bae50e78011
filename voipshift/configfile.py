"""A node's configuration file: read, every key checked, and how they fit together.

Only whether a port is free is left to the start.
"""

from __future__ import annotations

import tomllib
from dataclasses import replace

from voipshift import consistency
from voipshift.config import GroupSettings, Settings
from voipshift.setting import Place, table


def load(file: str) -> Settings:
    """Read and check a configuration file, its key file included.

    :raises ConfigurationError: with one line that names the file, the key, and what to do
    """
    at = Place(file)
    settings = table(Settings, file=file)(_document(at), at)
    consistency.check(settings, at)
    if settings.group is None:
        return settings
    return replace(settings, group=_without_itself(settings.group, settings.node.advertise))


def _document(at: Place) -> dict[str, object]:
    try:
        with open(at.file, "rb") as opened:
            return tomllib.load(opened)
    except OSError as error:
        raise at.wrong(f"cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise at.wrong(f"is not TOML: line {line} is not UTF-8") from None
    except (ValueError, RecursionError) as error:
        raise at.wrong(f"is not TOML: {error}") from None


def _without_itself(group: GroupSettings, advertise: str | None) -> GroupSettings:
    """The group as one of its members sees it, for all of them may have the same list."""
    own = {group.listen, (advertise, group.listen[1])}
    return replace(group, members=tuple(member for member in group.members if member not in own))
