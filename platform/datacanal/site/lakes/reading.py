"""The agent's handle on its lake reader child: one question at a time, a new child after one that died."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Sequence
from typing import Any

from datacanal.lifeline import spawn
from datacanal.site.lakes.footers import Footer


class LakeUnread(Exception):
    """The reader could not read, in its own words."""


class LakeReader:
    """Opens Parquet footers in a child process. Its methods block; call them from a thread."""

    def __init__(self) -> None:
        self._child: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    def footers(self, paths: Sequence[str]) -> tuple[dict[str, Footer], dict[str, str]]:
        """The footer of each absolute path, and for each unreadable file why."""
        answer = self._ask({"do": "footers", "paths": list(paths)})
        return {path: Footer.model_validate(found) for path, found in answer["footers"].items()}, answer["unreadable"]

    def describe(self, paths: Sequence[str], *, hive: bool) -> list[tuple[str, str]]:
        """Name and DuckDB type of every column of the files taken together."""
        answer = self._ask({"do": "describe", "paths": list(paths), "hive": hive})
        return [(name, duckdb_type) for name, duckdb_type in answer["columns"]]

    def distinct_counts(
        self, paths: Sequence[str], *, hive: bool, columns: Sequence[str], listed_rows: int, rows: int, sample_rows: int
    ) -> dict[str, int]:
        """Estimated distinct values per column."""
        answer = self._ask(
            {
                "do": "sketch",
                "paths": list(paths),
                "hive": hive,
                "columns": list(columns),
                "listed_rows": listed_rows,
                "rows": rows,
                "sample_rows": sample_rows,
            }
        )
        counts: dict[str, int] = answer["counts"]
        return counts

    def close(self) -> None:
        """End the child."""
        child, self._child = self._child, None
        if child is not None:
            child.kill()
            child.wait()
            for pipe in (child.stdin, child.stdout):
                if pipe is not None:
                    pipe.close()

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        with self._lock:
            try:
                line = self._exchange(json.dumps(request).encode() + b"\n")
            except OSError as error:
                self.close()
                raise LakeUnread(f"the lake reader died: {error}") from None
            if not line:
                self.close()
                raise LakeUnread("the lake reader died while it read these files")
        answer: dict[str, Any] = json.loads(line)
        if "failed" in answer:
            raise LakeUnread(answer["failed"])
        return answer

    def _exchange(self, line: bytes) -> bytes:
        if self._child is None or self._child.poll() is not None:
            self.close()
            self._child = spawn(
                "datacanal.site.lakes.reader", stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
            )
        assert self._child.stdin is not None and self._child.stdout is not None  # noqa: S101, PT018  # made as pipes
        self._child.stdin.write(line)
        self._child.stdin.flush()
        return self._child.stdout.readline()
