"""A service with canned answers behind the public API, for tests of clients: an httpx transport, or on a port."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote

import httpx
import pyarrow as pa

from datacanal.domain.errors import (
    ConversionFailed,
    DatacanalError,
    LogsRefused,
    NotFound,
    SqlSyntax,
    Unauthenticated,
)
from datacanal.protocol.problem import Problem, problem_of
from datacanal.protocol.public import (
    AttemptView,
    DatasetList,
    DatasetView,
    EgressView,
    JobEgress,
    JobList,
    JobLogs,
    JobStats,
    JobSummary,
    JobView,
    ResultColumn,
    ResultView,
    SiteList,
    SiteView,
    Timeouts,
)

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


_SITE = SiteView(name="core", connected=True, seen_at=_AT, kernel="v2.0.0", slots=3, lakes=["transactions", "数据"])
_DATASET = DatasetView(
    lake="数据", name="orders", site="core", snapshot="snp_1", files=2, rows=1234567, bytes=98765432, key=["id"],
    columns=[], problem=None,
)  # fmt: skip
_ENTRY = EgressView(
    site="core", seq=7, hash="a" * 64, at=_AT, decision="released", kind="result", step="q", receivers=["ana"],
    policies={"transactions": "d" * 64}, rows=1200, bytes=4096, digest="e" * 64, withheld_groups=3, reason="",
)  # fmt: skip
_ATTEMPT = AttemptView(
    step="q", site="core", attempt=1, fence=2, started_at=_AT, finished_at=_AT + timedelta(seconds=1.5),
    outcome="failed", problem=problem_of(ConversionFailed()),
)  # fmt: skip


def _summary(job: JobView) -> JobSummary:
    return JobSummary(
        id=job.id, kind=job.kind, state=job.state, principal=job.principal, submitted_at=job.submitted_at,
        finished_at=job.finished_at, sql=job.sql,
    )  # fmt: skip


class FakeService(httpx.BaseTransport):
    """Jobs that succeed with `result` on the first look after they were submitted; `seen` holds every request."""

    def __init__(self, result: pa.Table | None = None, failure: DatacanalError | None = None) -> None:
        self.result = result if result is not None else pa.table({"n": [1]})
        self.failure = failure
        self.jobs: dict[str, JobView] = {}
        self.keys: dict[str, str] = {}
        self.withheld_groups = 0
        self.seen: list[httpx.Request] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.read()
        self.seen.append(request)
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self.refusal(Unauthenticated(reason="the token is not known"), 401)
        parts = unquote(request.url.raw_path.decode().partition("?")[0]).strip("/").split("/")
        if parts[:2] != ["v1", "jobs"]:
            return self.send_catalogue("/".join(parts))
        return self.send_jobs(request) if len(parts) == 2 else self.send_job(request, parts[2], *parts[3:])

    def send_catalogue(self, path: str) -> httpx.Response:
        documents = {"v1/sites": SiteList(sites=[_SITE]), "v1/datasets": DatasetList(datasets=[_DATASET])}
        if path in documents:
            return self.answer(documents[path])
        return self.refusal(NotFound(what="address", name=path), 404)

    def send_jobs(self, request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            return self.submit(request)
        return self.answer(JobList(jobs=[_summary(job) for job in self.jobs.values()], next=None))

    def send_job(self, request: httpx.Request, job: str, action: str = "") -> httpx.Response:
        if job == "explain":
            return self.refusal(SqlSyntax(reason="at\x1b[31m the end"), 422)
        if job not in self.jobs:
            return self.refusal(NotFound(what="job", name=job), 404)
        match action:
            case "cancel":
                return self.cancel(job)
            case "retry":
                return self.submit_again(job)
            case "result":
                return self.send_result(request)
            case "events":
                return self.send_events(request, job)
            case "egress":
                return self.answer(JobEgress(job=job, entries=[_ENTRY]))
            case "logs":
                return self.send_logs(request, job)
        return self.look(job)

    def send_logs(self, request: httpx.Request, job: str) -> httpx.Response:
        attempt = _ATTEMPT
        if "text" in parse_qs(request.url.query.decode()):
            attempt = attempt.model_copy(update={"said": "'Novák\x1b[31m' is no number\n", "cut": True})
        kept = problem_of(LogsRefused(site="west", job=job, reason="the policy says so"))
        other = _ATTEMPT.model_copy(update={"site": "west", "problem": None, "outcome": "done", "kept": kept})
        return self.answer(JobLogs(job=job, attempts=[attempt, other]))

    def submit(self, request: httpx.Request) -> httpx.Response:
        key = request.headers["Idempotency-Key"]
        job = self.keys.setdefault(key, f"job_{len(self.keys) + 1}")
        self.jobs.setdefault(job, fake_job(job, json.loads(request.content)["sql"]))
        return self.answer(self.jobs[job], 202)

    def submit_again(self, job: str) -> httpx.Response:
        again = fake_job(f"{job}_again", self.jobs[job].sql)
        self.jobs[again.id] = again
        return self.answer(again, 202)

    def look(self, job: str) -> httpx.Response:
        if self.jobs[job].state == "queued":
            self.jobs[job] = self.finished(self.jobs[job])
        return self.answer(self.jobs[job])

    def finished(self, job: JobView) -> JobView:
        if self.failure is not None:
            return fake_job(job.id, job.sql, state="failed", problem=problem_of(self.failure))
        columns = [ResultColumn(name=name, type="BIGINT") for name in self.result.column_names]
        result = ResultView(
            site="core", rows=self.result.num_rows, bytes=self.result.nbytes, expires_at=_AT + timedelta(days=1),
            columns=columns, withheld_groups=self.withheld_groups,
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
        headers = {"ETag": f'"{hashlib.sha256(body).hexdigest()}"', "Content-Length": str(len(body) - start)}
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


@contextmanager
def listening(service: FakeService) -> Iterator[str]:
    """The same service on a port of the loopback, for whoever cannot be given a transport; gives its URL."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            given = httpx.Request(self.command, f"http://fake{self.path}", headers=dict(self.headers), content=body)
            answer = service.handle_request(given)
            content = answer.read()
            self.send_response(answer.status_code)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_DELETE = _answer  # noqa: N815  # the base class names them so

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class names it so
            """Say nothing: tests read stderr."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
