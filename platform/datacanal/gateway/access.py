"""The access record: one line per call of a product's data, kept whatever comes of it."""

from __future__ import annotations

import os
import threading
from datetime import UTC, datetime
from pathlib import Path

import structlog

from datacanal.gateway.access_lines import Entry, line_of
from datacanal.products.requests import access_folder

_FLUSH_S = 0.5
_LARGEST_FILE_BYTES = 64 * 2**20
_MOST_HELD = 50_000
_log = structlog.get_logger()


class AccessRecord:
    """Lines are held for half a second and then appended by a thread. `close` writes what is left."""

    def __init__(self, home: Path) -> None:
        self._folder = access_folder(home)
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._held: list[Entry] = []
        self._lost = 0
        self._file = self._new_file()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._write_on, name="access", daemon=True)
        self._thread.start()

    def note(self, entry: Entry) -> None:
        """Take down one call."""
        if len(self._held) < _MOST_HELD:
            self._held.append(entry)
        else:
            self._lost += 1

    def close(self) -> None:
        """Write what is left and end the thread."""
        self._closing.set()
        self._thread.join()

    def _write_on(self) -> None:
        while not self._closing.wait(_FLUSH_S):
            self._write()
        self._write()

    def _write(self) -> None:
        entries, self._held = self._held, []
        if not entries:
            return
        text = "".join(map(line_of, entries))
        try:
            with self._file.open("ab") as stream:
                stream.write(text.encode("utf-8", "replace"))
                if stream.tell() > _LARGEST_FILE_BYTES:
                    self._file = self._new_file()
        except OSError as error:
            _log.error("access_not_written", lines=len(entries) + self._lost, reason=error.strerror)
        self._lost = 0

    def _new_file(self) -> Path:
        began = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%f")
        return self._folder / f"{began}-{os.getpid()}.ndjson"
