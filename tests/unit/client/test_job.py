"""What a job object does over a service whose answers are canned."""

from __future__ import annotations

from pathlib import Path

import httpx
import pyarrow as pa
import pytest

from datacanal.client import Client, Job
from datacanal.client.connection import Connection
from datacanal.domain.errors import (
    BadField,
    DivisionByZero,
    FileNotWritable,
    JobCancelled,
    NotFound,
    RemoteError,
    ResultDamaged,
    ServiceBusy,
    ServiceUnreachable,
    Unauthenticated,
)
from datacanal.testing.fake_service import TOKEN, CutStream, FakeService, arrow_bytes

NUMBERS = pa.table({"n": list(range(5000)), "name": [f"člověk {n}" for n in range(5000)]})


class ServiceThatCutsBodies(FakeService):
    """Every body breaks off after 700 bytes, as over a bad link."""

    def body(self, content: bytes) -> httpx.SyncByteStream:
        return CutStream(content, min(700, len(content)))


class ServiceThatChangesResults(ServiceThatCutsBodies):
    """After the break it knows nothing of the first part and starts again."""

    def send_result(self, request: httpx.Request) -> httpx.Response:
        request.headers.pop("Range", None)
        return super().send_result(request)


class ServiceThatTruncatesQuietly(FakeService):
    """It announces all and closes early without an error."""

    def body(self, content: bytes) -> httpx.SyncByteStream:
        return httpx.ByteStream(content[:-1])


class ServiceThatFlipsABit(FakeService):
    """As long as it should be, and wrong in its last byte."""

    def body(self, content: bytes) -> httpx.SyncByteStream:
        return httpx.ByteStream(content[:-1] + bytes([content[-1] ^ 1]))


class ServiceThatSendsNoise(FakeService):
    def result_body(self, result_format: str) -> bytes:
        return b"<html>not arrow at all, only long enough to be read as some</html>"


class ServiceThatLosesTheFirstAnswer(FakeService):
    """It does what it was asked, but the answer never arrives."""

    def __init__(self) -> None:
        super().__init__()
        self.lost = False

    def submit(self, request: httpx.Request) -> httpx.Response:
        answer = super().submit(request)
        if not self.lost:
            self.lost = True
            raise httpx.ReadError("the connection broke")
        return answer


class ServiceThatRestarts(FakeService):
    """It answers 503 twice before it looks at a job."""

    def __init__(self) -> None:
        super().__init__()
        self.refusals = 2

    def look(self, job: str) -> httpx.Response:
        if self.refusals:
            self.refusals -= 1
            return self.refusal(ServiceBusy(reason="it starts"), 503)
        return super().look(job)


def client_of(service: FakeService) -> Client:
    return Client("http://fake", TOKEN, transport=service)


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses between tries take no time."""
    monkeypatch.setattr(
        Connection.__init__, "__kwdefaults__", {**Connection.__init__.__kwdefaults__, "sleep": lambda _: None}
    )


def test_a_result_comes_back_as_the_table_that_was_sent() -> None:
    assert client_of(FakeService(NUMBERS)).sql("SELECT 1").to_arrow() == NUMBERS


def test_a_result_comes_back_as_a_pandas_frame() -> None:
    assert client_of(FakeService(NUMBERS)).sql("SELECT 1").to_pandas()["n"].sum() == sum(range(5000))


def test_a_result_comes_back_as_a_polars_frame() -> None:
    assert client_of(FakeService(NUMBERS)).sql("SELECT 1").to_polars()["n"].sum() == sum(range(5000))


def test_iterating_gives_the_batches_as_they_were_sent() -> None:
    assert [batch.num_rows for batch in client_of(FakeService(NUMBERS)).sql("SELECT 1")] == [1000] * 5


def test_an_empty_result_keeps_its_columns() -> None:
    empty = NUMBERS.schema.empty_table()
    assert client_of(FakeService(empty)).sql("SELECT 1").to_arrow().schema == NUMBERS.schema


def test_the_head_holds_the_first_rows_only() -> None:
    assert client_of(FakeService(NUMBERS)).sql("SELECT 1").head(1001)["n"].to_pylist() == list(range(1001))


def test_a_failed_job_raises_the_problem_of_the_service() -> None:
    job = client_of(FakeService(failure=DivisionByZero())).sql("SELECT 1/0")
    with pytest.raises(RemoteError) as raised:
        job.to_arrow()
    assert (raised.value.code, raised.value.remedy) == ("division_by_zero", DivisionByZero().remedy)


def test_a_cancelled_job_has_no_result() -> None:
    job = client_of(FakeService()).sql("SELECT 1").cancel()
    with pytest.raises(JobCancelled):
        job.to_arrow()


def test_the_statistics_of_a_failed_job_are_there() -> None:
    assert client_of(FakeService(failure=DivisionByZero())).sql("SELECT 1/0").stats.bytes_scanned == 2048


def test_an_unknown_job_is_not_found() -> None:
    with pytest.raises(RemoteError) as raised:
        client_of(FakeService()).job("job_99")
    assert raised.value.code == NotFound.code


@pytest.mark.usefixtures("at_once")
def test_a_broken_connection_is_resumed_where_it_broke() -> None:
    service = ServiceThatCutsBodies(NUMBERS)
    assert client_of(service).sql("SELECT 1").to_arrow() == NUMBERS
    ranges = [request.headers["Range"] for request in service.seen if "Range" in request.headers]
    assert ranges[:2] == ["bytes=700-", "bytes=1400-"]


@pytest.mark.usefixtures("at_once")
def test_a_result_that_changed_during_the_fetch_is_refused() -> None:
    with pytest.raises(ResultDamaged, match="changed"):
        client_of(ServiceThatChangesResults(NUMBERS)).sql("SELECT 1").to_arrow()


def test_a_result_that_is_too_short_is_refused() -> None:
    total = len(arrow_bytes(NUMBERS))
    with pytest.raises(ResultDamaged, match=f"{total - 1} of {total} bytes"):
        client_of(ServiceThatTruncatesQuietly(NUMBERS)).sql("SELECT 1").to_arrow()


def test_a_result_with_a_flipped_bit_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ResultDamaged, match="announced"):
        client_of(ServiceThatFlipsABit(NUMBERS)).sql("SELECT 1").result_to(tmp_path / "x.csv", "csv")


def test_a_result_that_is_not_arrow_is_refused() -> None:
    with pytest.raises(ResultDamaged):
        client_of(ServiceThatSendsNoise()).sql("SELECT 1").to_arrow()


@pytest.mark.usefixtures("at_once")
def test_events_arrive_once_each_over_broken_connections() -> None:
    job = client_of(ServiceThatCutsBodies()).sql("SELECT 1")
    assert [event.seq for event in job.events()] == [1, 2, 3]


@pytest.mark.usefixtures("at_once")
def test_a_submit_whose_answer_was_lost_is_repeated_and_happens_once() -> None:
    service = ServiceThatLosesTheFirstAnswer()
    client = client_of(service)
    client.sql("SELECT 1").to_arrow()
    assert len([request for request in service.seen if request.url.path == "/v1/jobs"]) == 2
    assert len(service.jobs) == 1


@pytest.mark.usefixtures("at_once")
def test_a_service_that_restarts_is_waited_for() -> None:
    assert client_of(ServiceThatRestarts()).sql("SELECT 1").wait().state == "succeeded"


def test_a_result_goes_into_a_file_whole(tmp_path: Path) -> None:
    job = client_of(FakeService(NUMBERS)).sql("SELECT 1")
    file = job.result_to(tmp_path / "výsledek.csv", "csv")
    assert file.read_text() == "csv of 5000 rows"
    assert [found.name for found in tmp_path.iterdir()] == ["výsledek.csv"]


def test_a_result_that_breaks_leaves_the_old_file(tmp_path: Path) -> None:
    file = tmp_path / "out.csv"
    file.write_text("old")
    with pytest.raises(ResultDamaged):
        client_of(ServiceThatTruncatesQuietly()).sql("SELECT 1").result_to(file, "csv")
    assert [(found.name, found.read_text()) for found in tmp_path.iterdir()] == [("out.csv", "old")]


def test_a_result_into_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotWritable):
        client_of(FakeService()).sql("SELECT 1").result_to(tmp_path / "no" / "out.csv", "csv")


def test_a_notebook_sees_escaped_rows_and_how_many_more_there_are() -> None:
    table = pa.table({"<b>": ["<script>alert(1)</script>", None, *["x"] * 50]})
    job = client_of(FakeService(table)).sql("SELECT '<i>'").wait()
    html = job._repr_html_()
    assert "<script>" not in html
    assert "&lt;script&gt;" in html
    assert "<i>NULL</i>" in html
    assert "32 more rows" in html


def test_a_notebook_sees_the_problem_of_a_failed_job() -> None:
    html = client_of(FakeService(failure=DivisionByZero())).sql("SELECT 1/0").wait()._repr_html_()
    assert DivisionByZero().detail in html


def test_a_job_that_still_runs_is_shown_without_waiting() -> None:
    job: Job = client_of(FakeService()).sql("SELECT 1")
    assert "queued" in job._repr_html_()


@pytest.mark.parametrize("url", ["nonsense", "ftp://x", "http://[", "http://127.0.0.1:1"])
def test_an_address_where_nothing_can_be_is_reported_as_unreachable(url: str) -> None:
    with pytest.raises(ServiceUnreachable):
        Client(url, TOKEN).sql("SELECT 1")


@pytest.mark.parametrize("token", ["žádný", "two words", "line\nbreak"])
def test_what_cannot_be_a_token_is_refused_before_anything_is_sent(token: str) -> None:
    with pytest.raises(Unauthenticated):
        Client("http://fake", token)


@pytest.mark.parametrize(("given", "field"), [({"run_timeout_s": -1}, "run_timeout_s"), ({"x": 1}, "x")])
def test_bad_timeouts_are_refused_by_name(given: dict[str, float], field: str) -> None:
    with pytest.raises(BadField, match=field):
        client_of(FakeService()).sql("SELECT 1", timeouts=given)


def test_without_a_token_the_service_is_asked_first_and_the_missing_token_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("DATACANAL_TOKEN", "DATACANAL_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    service = FakeService()
    with pytest.raises(Unauthenticated, match="DATACANAL_TOKEN"):
        Client("http://fake", transport=service).sql("SELECT 1")
    assert len(service.seen) == 1


def test_a_page_of_something_else_is_not_taken_for_the_service() -> None:
    class AnotherServer(httpx.BaseTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            return httpx.Response(404, text="<h1>nginx</h1>", request=request)

    with pytest.raises(ServiceUnreachable, match="not Datacanal"):
        Client("http://fake", TOKEN, transport=AnotherServer()).sites()


def test_a_service_that_never_answered_is_reported_at_once() -> None:
    class NothingListens(httpx.BaseTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            raise httpx.ConnectError("Connection refused")

    with pytest.raises(ServiceUnreachable, match="refused"):
        Client("http://fake", TOKEN, transport=NothingListens()).sql("SELECT 1")
