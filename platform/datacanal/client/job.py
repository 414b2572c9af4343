"""A submitted job: submitted at once, waited for when its answer is asked for."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from datacanal.client.connection import Clock, Connection
from datacanal.client.download import write_result
from datacanal.client.events import follow_events
from datacanal.client.notebook import job_html
from datacanal.client.result import ResultReader, ResultStream, read_table
from datacanal.domain.errors import JobCancelled
from datacanal.domain.job import ENDED_JOBS
from datacanal.protocol.plan import Plan
from datacanal.protocol.problem import error_of
from datacanal.protocol.public import Event, JobEgress, JobLogs, JobStats, JobView, ResultFormat

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

_LONG_POLL_S = 20.0
_PREVIEW_ROWS = 20


class Job:
    """One job of the service. Whatever needs the answer waits for it and raises the job's problem when it failed."""

    def __init__(self, connection: Connection, view: JobView, *, clock: Clock = time.monotonic) -> None:
        self._connection = connection
        self._view = view
        self._clock = clock

    def __repr__(self) -> str:
        return f"<Job {self.id} {self.state}>"

    def _repr_html_(self) -> str:
        preview = self.head(_PREVIEW_ROWS) if self.is_finished and self.state == "succeeded" else None
        return job_html(self._view, preview)

    @property
    def id(self) -> str:
        return self._view.id

    @property
    def view(self) -> JobView:
        """The job as it was last seen; `refresh` looks again."""
        return self._view

    @property
    def state(self) -> str:
        """queued, planning, running, succeeded, failed or cancelled, as last seen."""
        return self._view.state

    @property
    def is_finished(self) -> bool:
        """Whether the state, as last seen, is a final one."""
        return self.state in ENDED_JOBS

    def refresh(self, wait_s: float = 0.0) -> JobView:
        """Look again; with `wait_s` the service answers when the job has ended, at the latest after that time."""
        query = {"wait_s": f"{wait_s:.3f}"} if wait_s > 0 else None
        self._view = self._connection.get(JobView, f"/v1/jobs/{self.id}", query)
        return self._view

    def wait(self, timeout_s: float | None = None) -> Job:
        """Until the job has ended, however it ended; with `timeout_s` it may come back unfinished."""
        ends_at = None if timeout_s is None else self._clock() + timeout_s
        while not self.is_finished:
            left_s = _LONG_POLL_S if ends_at is None else ends_at - self._clock()
            if left_s <= 0:
                break
            self.refresh(wait_s=min(left_s, _LONG_POLL_S))
        return self

    def raise_for_failure(self) -> None:
        """Raise why the job ended without a result; nothing when it has one or still runs."""
        if self._view.problem is not None and self.state != "succeeded":
            raise error_of(self._view.problem)
        if self.state == "cancelled":
            raise JobCancelled(job=self.id)

    @property
    def plan(self) -> Plan | None:
        """What runs where, as soon as it is known."""
        while self._view.plan is None and not self.is_finished:
            self.refresh(wait_s=0.2)
        return self._view.plan

    @property
    def stats(self) -> JobStats:
        """What the job read, moved and took, once it has ended."""
        return self.wait().view.stats

    def to_arrow(self) -> pa.Table:
        """The whole result."""
        self._succeeded()
        return read_table(self._connection, self.id)

    def to_pandas(self) -> pd.DataFrame:
        """The whole result; needs pandas."""
        frame: pd.DataFrame = self.to_arrow().to_pandas()
        return frame

    def to_polars(self) -> pl.DataFrame:
        """The whole result; needs Polars."""
        # Polars is not required by the client; only those who ask for it need it.
        import polars as pl

        frame = pl.from_arrow(self.to_arrow())
        assert isinstance(frame, pl.DataFrame)  # noqa: S101  # a table never becomes a Series
        return frame

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        """Record batches as they arrive, in bounded memory."""
        with self.open() as reader:
            yield from reader

    def open(self) -> ResultReader:
        """The result as a stream with a schema; close it, or use it in a `with`."""
        self._succeeded()
        return ResultReader(self._connection, self.id)

    def download(self, result_format: ResultFormat) -> ResultStream:
        """The result's bytes in a format, as a file to read; close it, or use it in a `with`."""
        self._succeeded()
        return ResultStream(self._connection, self.id, result_format)

    def head(self, rows: int) -> pa.Table:
        """The first rows; not more is fetched than needed."""
        with self.open() as reader:
            taken: list[pa.RecordBatch] = []
            wanted = rows
            for batch in reader:
                taken.append(batch.slice(0, wanted))
                wanted -= taken[-1].num_rows
                if wanted <= 0:
                    break
            return pa.Table.from_batches(taken, reader.schema)

    def result_to(self, path: str | Path, result_format: ResultFormat = "parquet") -> Path:
        """Write the result to a file, all of it or nothing; gives the path."""
        self._succeeded()
        return write_result(self._connection, self.id, Path(path), result_format)

    def cancel(self) -> Job:
        """Ask the service to stop the job; `wait` tells when it has."""
        self._view = self._connection.post(JobView, f"/v1/jobs/{self.id}/cancel", None)
        return self

    def retry(self) -> Job:
        """A new job with the same request, planned over the newest snapshots."""
        view = self._connection.submit(JobView, f"/v1/jobs/{self.id}/retry", None)
        return Job(self._connection, view, clock=self._clock)

    def events(self, after: int = 0) -> Iterator[Event]:
        """Everything that happened, then what happens, up to the job's end."""
        return follow_events(self._connection, self.id, after)

    def logs(self, text: bool = False) -> JobLogs:
        """What each attempt of each step came to; with `text` in its own words too, where policies let them out.

        Reading the words is a release: it is charged to the budgets of the lakes and recorded at their sites.
        """
        query = {"text": "true"} if text else None
        return self._connection.get(JobLogs, f"/v1/jobs/{self.id}/logs", query)

    def egress(self) -> JobEgress:
        """What sites let out, or kept in, for this job, with the entry of their own record that says so."""
        return self._connection.get(JobEgress, f"/v1/jobs/{self.id}/egress")

    def _succeeded(self) -> None:
        self.wait()
        self.raise_for_failure()
