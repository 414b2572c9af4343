"""A result larger than the control plane's memory, fetched whole while the control plane's size is watched."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
from tests.e2e.service import Service

MIB = 2**20
MOST_BYTES = 512 * MIB
ROW_BYTES = 1000
# Hexadecimal digests do not compress below half, so the bytes on the wire are about half of what is asked for.
SQL = """
    SELECT r.i AS i, concat({digests}) AS filling
    FROM (SELECT min(payment_id) AS first FROM transactions.payments) AS p, range($rows) AS r(i)
    WHERE r.i >= p.first
"""


def sql_of(rows: int) -> tuple[str, dict[str, object]]:
    """A statement whose result has so many rows of about 1,000 bytes."""
    digests = ", ".join(f"md5((r.i * 31 + {number})::VARCHAR)" for number in range(ROW_BYTES // 32))
    return SQL.format(digests=digests), {"rows": rows}


class Watch:
    """The largest resident size of a process that was seen."""

    def __init__(self, process: psutil.Process) -> None:
        self._process = process
        self._done = threading.Event()
        self.before_bytes = process.memory_info().rss
        self.most_bytes = self.before_bytes

    @property
    def growth_bytes(self) -> int:
        return self.most_bytes - self.before_bytes

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Look twenty times a second while the block runs."""
        thread = threading.Thread(target=self._look, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._done.set()
            thread.join()

    def _look(self) -> None:
        while not self._done.wait(0.05):
            self.most_bytes = max(self.most_bytes, self._process.memory_info().rss)


def control_plane(service: Service) -> psutil.Process:
    """The process of the control plane, from now on with 512 MiB of memory at most."""
    [process] = service.find("serve", "control")
    process.rlimit(psutil.RLIMIT_DATA, (MOST_BYTES, MOST_BYTES))
    return process


def fetched(service: Service, rows: int) -> tuple[int, int]:
    """Run the statement and fetch its result as Arrow: bytes that came, and how much the control plane grew."""
    sql, params = sql_of(rows)
    watch = Watch(control_plane(service))
    received, digest = 0, hashlib.sha256()
    with service.client() as client:
        job = client.sql(sql, params=params).wait()
        job.raise_for_failure()
        with watch.watching(), job.download("arrow") as stream:
            while chunk := stream.read(MIB):
                received += len(chunk)
                digest.update(chunk)
        assert job.view.result is not None
        assert job.view.result.rows == rows
    return received, watch.growth_bytes
