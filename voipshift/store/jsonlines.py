"""Records of calls as lines of JSON at the end of a file, for whoever bills or counts them.

The file is opened anew for each batch, so that it can be moved away at any time.  It is never shortened here.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Sequence

from voipshift.calls.record import Record, document


class JsonLines:
    """A file that grows.

    Several nodes may share one: each locks it while it writes a batch.
    """

    def __init__(self, file: str) -> None:
        self._file = file

    def write(self, records: Sequence[Record]) -> None:
        """See :class:`voipshift.store.recordrow.RecordStore`; half a batch that a full disk took is taken back."""
        lines = "".join(json.dumps(document(record), ensure_ascii=False) + "\n" for record in records)
        octets = lines.encode()
        # Who calls whom is nobody else's business.
        descriptor = os.open(self._file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            taken = os.write(descriptor, octets)
            if taken < len(octets):
                os.ftruncate(descriptor, os.fstat(descriptor).st_size - taken)
                raise OSError("the disk is full")
        finally:
            os.close(descriptor)

    def prune(self, before: float, most: int) -> int:
        """What is written stays."""
        return 0

    def close(self) -> None:
        """It is closed."""
