"""A service with canned answers behind the public API, for tests of clients: an httpx transport, no port."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, unquote

import httpx
import pyarrow as pa

from datacanal.domain.errors import DatacanalError, NotFound, Unauthenticated
from datacanal.protocol.problem import Problem, problem_of
from datacanal.protocol.public import JobStats, JobView, ResultColumn, ResultView, Timeouts

TOKEN = "fake-token"  # noqa: S105  # it opens nothing
_AT = datetime(2026, 1, 1, tzinfo=UTC)


def arrow_bytes(table: pa.Table, rows_per_batch: int = 1000) -> bytes:
    """The table as an Arrow IPC stream."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table, rows_per_batch)
    return bytes(sink.getvalue())


def fake_job(job_id: str, sql: str, *, state: str = "queued", problem: Problem | None = None) -> JobView:
    """A job without a plan."""
    finished = _AT + timedelta(seconds=1) if state in ("succeeded", "failed", "cancelled") else None
    stats = JobStats(
        job_id=job_id, state=state, elapsed_ms=1000, bytes_scanned=2048, bytes_moved=512, result_rows=None,
        transfers=[], steps=[],
    )  # fmt: skip
    return JobView(
        id=job_id, kind="sql", state=state, cancel_requested=state == "cancelled", principal="admin", purpose=None,
        sql=sql, params={}, timeouts=Timeouts(), submitted_at=_AT, started_at=None, finished_at=finished, retry_of=None,
        waits=None, problem=problem, plan=None, steps=[], stats=stats, result=None,
    )  # fmt: skip


class FakeService(httpx.BaseTransport):
    """Jobs that succeed with `result` on the first look after they were submitted; `seen` holds every request."""

    def __init__(self, result: pa.Table | None = None, failure: DatacanalError | None = None) -> None:
        self.result = result if result is not None else pa.table({"n": [1]})
        self.failure = failure
        self.jobs: dict[str, JobView] = {}
        self.keys: dict[str, str] = {}
        self.seen: list[httpx.Request] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.read()
        self.seen.append(request)
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self.refusal(Unauthenticated(reason="the token is not known"), 401)
        parts = unquote(request.url.raw_path.decode().partition("?")[0]).strip("/").split("/")
        match request.method, *parts:
            case "POST", "v1", "jobs":
                return self.submit(request)
            case "GET", "v1", "jobs", job:
                return self.look(job)
            case "POST", "v1", "jobs", job, "cancel":
                return self.cancel(job)
            case "GET", "v1", "jobs", _, "result":
                return self.send_result(request)
            case "GET", "v1", "jobs", job, "events":
                return self.send_events(request, job)
        return self.refusal(NotFound(what="address", name="/".join(parts)), 404)

    def submit(self, request: httpx.Request) -> httpx.Response:
        key = request.headers["Idempotency-Key"]
        job = self.keys.setdefault(key, f"job_{len(self.keys) + 1}")
        self.jobs.setdefault(job, fake_job(job, json.loads(request.content)["sql"]))
        return self.answer(self.jobs[job], 202)

    def look(self, job: str) -> httpx.Response:
        if job not in self.jobs:
            return self.refusal(NotFound(what="job", name=job), 404)
        if self.jobs[job].state == "queued":
            self.jobs[job] = self.finished(self.jobs[job])
        return self.answer(self.jobs[job])

    def finished(self, job: JobView) -> JobView:
        if self.failure is not None:
            return fake_job(job.id, job.sql, state="failed", problem=problem_of(self.failure))
        columns = [ResultColumn(name=name, type="BIGINT") for name in self.result.column_names]
        result = ResultView(
            site="core", rows=self.result.num_rows, bytes=self.result.nbytes, expires_at=_AT + timedelta(days=1),
            columns=columns,
        )  # fmt: skip
        return fake_job(job.id, job.sql, state="succeeded").model_copy(update={"result": result})

    def cancel(self, job: str) -> httpx.Response:
        self.jobs[job] = fake_job(job, self.jobs[job].sql, state="cancelled")
        return self.answer(self.jobs[job])

    def result_body(self, result_format: str) -> bytes:
        if result_format == "arrow":
            return arrow_bytes(self.result)
        return f"{result_format} of {self.result.num_rows} rows".encode()

    def send_result(self, request: httpx.Request) -> httpx.Response:
        body = self.result_body(parse_qs(request.url.query.decode())["format"][0])
        start = _range_start(request)
        status = 206 if start else 200
        headers = {"ETag": '"one"', "Content-Length": str(len(body) - start)}
        return httpx.Response(status, headers=headers, stream=self.body(body[start:]), request=request)

    def body(self, content: bytes) -> httpx.SyncByteStream:
        return CutStream(content, len(content))

    def send_events(self, request: httpx.Request, job: str) -> httpx.Response:
        after = int(request.headers.get("Last-Event-ID", "0"))
        lines = ": keep-alive\n\n" + "".join(
            f"id: {seq}\ndata: {json.dumps(self.event(seq, job))}\n\n" for seq in (1, 2, 3) if seq > after
        )
        return httpx.Response(200, stream=self.body(lines.encode()), request=request)

    def event(self, seq: int, job: str) -> dict[str, Any]:
        return {"seq": seq, "at": _AT.isoformat(), "job": job, "event": "job_state", "data": {"number": seq}}

    def answer(self, document: Any, status: int = 200) -> httpx.Response:
        return httpx.Response(status, content=document.model_dump_json(by_alias=True).encode())

    def refusal(self, error: DatacanalError, status: int) -> httpx.Response:
        return self.answer(problem_of(error, status), status)


class CutStream(httpx.SyncByteStream):
    """Sends the first `sent` bytes; then the connection breaks, if that was not all."""

    def __init__(self, content: bytes, sent: int) -> None:
        self._content = content
        self._sent = sent

    def __iter__(self) -> Iterator[bytes]:
        yield self._content[: self._sent]
        if self._sent < len(self._content):
            raise httpx.ReadError("the connection broke")


def _range_start(request: httpx.Request) -> int:
    given: str = request.headers.get("Range", "bytes=0-")
    return int(given.removeprefix("bytes=").removesuffix("-"))
