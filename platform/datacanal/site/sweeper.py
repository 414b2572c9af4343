"""Delete what nobody needs any more: expired results, outputs of dead jobs, files that no row knows."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path

import structlog

from datacanal.site.places import Places
from datacanal.site.store.models import ExportRow, OutputRow
from datacanal.site.store.work import WorkStore

_log = structlog.get_logger()


class Sweeper:
    """Blocking. Everything it does may be done twice, and beside a running agent."""

    def __init__(self, places: Places, work: WorkStore, clock: Callable[[], datetime], total_timeout_s: float) -> None:
        self._places = places
        self._work = work
        self._clock = clock
        self._total_timeout_s = total_timeout_s

    def drop(self, job: str) -> None:
        """Delete all that is kept for the job."""
        self._delete(self._work.outputs(job=job))

    def sweep(self) -> None:
        """Delete what expired, and make room where the disk is full: exports first, as they can be made again."""
        now_ms = int(self._clock().timestamp() * 1000)
        self._delete(self._work.outputs(expired_at_ms=now_ms))
        self._work.prune_attempts(now_ms - 30 * 24 * 3600 * 1000)
        self._delete_unknown()
        self._make_room()

    def empty_inputs(self) -> None:
        """At start: no step runs, so no received file is needed."""
        for file in self._places.inputs.iterdir():
            file.unlink(missing_ok=True)

    def _delete(self, outputs: Iterable[OutputRow]) -> None:
        for output in outputs:
            for export in self._work.exports():
                if export.output == output.id:
                    Path(export.path).unlink(missing_ok=True)
            Path(output.path).unlink(missing_ok=True)
            self._work.forget_output(output.id)

    def _delete_unknown(self) -> None:
        """Files of attempts that died; a file younger than any job may still be written."""
        known = {output.path for output in self._work.outputs()} | {export.path for export in self._work.exports()}
        oldest_s = time.time() - self._total_timeout_s
        for folder in (self._places.outputs, self._places.inputs):
            for file in folder.iterdir():
                if str(file) not in known and _is_older(file, oldest_s):
                    file.unlink(missing_ok=True)

    def _make_room(self) -> None:
        exports: list[ExportRow] = list(self._work.exports())
        while self._places.room_bytes() == 0 and exports:
            export = exports.pop(0)
            Path(export.path).unlink(missing_ok=True)
            self._work.forget_export(export.output, export.format)
            _log.warning("export_dropped_for_room", output=export.output, format=export.format)


def _is_older(file: Path, than_s: float) -> bool:
    try:
        return file.stat().st_mtime < than_s
    except FileNotFoundError:
        return False
