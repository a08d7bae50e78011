"""``voipshift calls`` and ``voipshift explain``: what a node's records tell, after the calls.

Both read what the node's configuration names, while nodes write to it or when none runs.
"""

from __future__ import annotations

import json
import os
import re
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from typing import Any

from voipshift import configfile
from voipshift.balance.reason import sentence_of
from voipshift.calls.record import CANCELLED, LAPSED, SHIFTED, Record, document, moment, written
from voipshift.errors import ConfigurationError
from voipshift.wiring.records import RECORDS, archive_of, is_postgresql, place_of

_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_HEADINGS = ("ENDED", "FROM", "TO", "NODE", "HOPS", "CODE", "SECONDS", "CALL-ID")
#: Of a column; a longer text is cut.
_WIDEST = 40


def calls(file: str | None, since: str | None, most: int, as_json: bool) -> Iterator[str]:
    """The last calls, a line each.

    :param file: the configuration of a node; None for the records of this folder
    :param since: only those that ended since: a time, or so long ago; None for all
    :param most: so many at most
    :raises ConfigurationError: they cannot be read
    """
    after = 0.0 if since is None else since_of(since, time.time())
    records = _ask(file, lambda archive: archive.recent(after, most))
    if as_json:
        return (json.dumps(document(record), ensure_ascii=False) for record in records)
    return _table([_HEADINGS, *map(_line, records)])


def explain(file: str | None, call_id: str) -> Iterator[str]:
    """How a call was decided, hop by hop.

    :param call_id: its Call-ID, its H.323 callIdentifier, or the id of the attempt
    :raises ConfigurationError: there is no such call, or the records cannot be read
    """
    records = _ask(file, lambda archive: archive.of_call(call_id))
    if not records:
        raise ConfigurationError("", call_id, "no call is recorded by that id; voipshift calls shows those that are")
    attempts: dict[str, list[Record]] = {}
    for record in records:
        attempts.setdefault(record.attempt, []).append(record)
    for index, each in enumerate(attempts.values()):
        if index:
            yield ""
        yield from _explained(each)


def since_of(text: str, now: float) -> float:
    """A point in time: ``2026-11-22``, ``2026-11-22T18:30`` (here, or with an offset), ``90m``.

    :raises ConfigurationError: it is none
    """
    ago = re.fullmatch(r"([0-9]{1,6})([smhdw])", text, re.ASCII)
    if ago is not None:
        return now - int(ago[1]) * _UNITS_S[ago[2]]
    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError):
        reason = f"must be a time such as 2026-11-22T18:30, or how long ago: 30m, 12h, 7d; not {text!r}"
        raise ConfigurationError("", "--since", reason) from None


# Reading.


def _ask(file: str | None, question: Any) -> list[Record]:
    if file is not None:
        settings = configfile.load(file)
        if settings.records is None:
            raise ConfigurationError(file, "records", "missing: this node keeps no records of its calls")
        where = place_of(settings)
        if where == "none":
            reason = f"nothing can be asked of {settings.records.json_lines}, which has a line for each call"
            raise ConfigurationError(file, "records.store", reason)
    else:
        where = os.path.abspath(RECORDS)
    if not is_postgresql(where) and not os.path.exists(where):
        reason = "is not there: --config FILE names a node whose [records] says where they are"
        raise ConfigurationError("", where, reason)
    with closing(archive_of(where, file or "")) as archive:
        try:
            found: list[Record] = question(archive)
        except sqlite3.Error as error:
            raise ConfigurationError("", where, f"cannot be read: {error}") from None
        except Exception as error:
            if type(error).__module__.partition(".")[0] != "psycopg":
                raise
            raise ConfigurationError(file or "", "records.store", f"cannot be read: {_first(error)}") from None
    return found


def _first(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


# A table.


def _line(record: Record) -> tuple[str, ...]:
    return (
        (moment(record.ended) or "")[:19].replace("T", " "),
        record.caller,
        record.callee,
        record.accepted or "-",
        str(_hops(record)),
        str(record.code or "-"),
        f"{record.duration_s:.1f}" if record.answered is not None else "-",
        record.call_id or record.attempt,
    )


def _hops(record: Record) -> int:
    """How many nodes it was at before the last one."""
    return max(0, len(record.path) - 1)


def _table(rows: list[tuple[str, ...]]) -> Iterator[str]:
    # The last column is to be copied, and is not cut.
    cut = [(*(_cut(cell) for cell in row[:-1]), _visible(row[-1])) for row in rows]
    widths = [max(len(row[column]) for row in cut) for column in range(len(_HEADINGS) - 1)]
    for row in cut:
        yield "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]])


def _cut(text: str) -> str:
    text = _visible(text)
    return text if len(text) <= _WIDEST else text[: _WIDEST - 1] + "…"


def _visible(text: str) -> str:
    """Without what a terminal would obey: a client has chosen it."""
    return "".join(each if each.isprintable() else "\ufffd" for each in text)


# An explanation.


def _explained(records: list[Record]) -> Iterator[str]:
    """One attempt, told by each node that recorded it; the first one is the entry's, if it is there."""
    first, last = records[0], records[-1]
    longest = max(records, key=lambda record: len(record.path))
    yield f"call {_visible(last.call_id or first.call_id or '-')}"
    yield f"  from     {_visible(first.caller or '-')}"
    yield f"  to       {_visible(first.callee or '-')}"
    yield f"  client   {written(first.client)} by {_visible(first.door or '?')}"
    yield f"  attempt  {first.attempt}, at {first.entry}, {moment(first.began)}"
    if longest.path:
        yield "decided"
        for number, load in enumerate(longest.path, 1):
            state = _state(load.occupancy, load.capacity)
            yield f"  {number}. {_visible(load.node)} {state} {sentence_of(load.reason)}"
    yield "ended"
    for record in records:
        yield f"  {record.node}: {_end(record)}"


def _state(occupancy: float, capacity: float) -> str:
    of = "" if capacity >= 1e9 else f" of {capacity:g} calls"
    return f"({100 * occupancy:.0f} %{of})"


def _end(record: Record) -> str:
    """What became of it at one node."""
    took = record.ended - record.began
    if record.accepted != record.node:
        if record.code == SHIFTED:
            return f"{record.code}, shifted to {record.accepted} after {_ms(took)}"
        if record.code == CANCELLED:
            return f"{record.code}, the client gave up after {_ms(took)}"
        return f"{record.code}, nobody took it; refused after {_ms(took)}"
    if record.gateway is None:
        if record.code == LAPSED:
            return f"{record.code}, a slot was held for the client, which did not come"
        return f"{record.code}, accepted, and sent nowhere"
    said = [f"sent to {written(record.gateway)}"]
    if record.alerted is not None:
        said.append(f"rang after {_ms(record.alerted - record.began)}")
    if record.answered is None:
        said.append(f"not answered, over after {_ms(took)}")
    else:
        said.append(f"answered after {_ms(record.answered - record.began)}")
        said.append(f"lasted {record.duration_s:.1f} s")
    if record.octets is not None:
        said.append(f"{record.octets} octets of media")
    return f"{record.code or 'under way when the node stopped'}, " + ", ".join(said)


def _ms(seconds: float) -> str:
    return f"{1000 * seconds:.0f} ms" if seconds < 10 else f"{seconds:.1f} s"
