"""Commands over a service with canned answers: what they print, where, and their exit codes."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest

from datacanal.cli.main import run
from datacanal.cli.moments import parse_expiry
from datacanal.cli.parameters import parse_params
from datacanal.domain.errors import (
    BadField,
    BadParameter,
    BudgetExceeded,
    DatacanalError,
    DivisionByZero,
    JobCancelled,
    OutOfMemory,
    SqlSyntax,
)
from datacanal.domain.metering_errors import QuotaExhausted
from datacanal.testing.fake_service import TOKEN, FakeService, listening

MANY = pa.table({"n": list(range(250)), "jméno": [f"č{n}" for n in range(250)]})


@pytest.fixture
def service() -> FakeService:
    return FakeService(MANY)


@pytest.fixture(autouse=True)
def served(service: FakeService, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("DATACANAL_TOKEN", TOKEN)
    monkeypatch.delenv("DATACANAL_DEBUG", raising=False)
    with listening(service) as url:
        monkeypatch.setenv("DATACANAL_URL", url)
        yield


def test_a_table_shows_a_hundred_rows_and_how_many_more(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["sql", "SELECT 1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["n", "jméno"]
    assert lines[101].split() == ["99", "č99"]
    assert lines[102].startswith("… 150 more rows")


@pytest.mark.parametrize("chosen", ["csv", "json", "arrow", "parquet"])
def test_other_formats_are_streamed_as_the_service_writes_them(
    chosen: str, capfdbinary: pytest.CaptureFixture[bytes], service: FakeService
) -> None:
    assert run(["sql", "SELECT 1", "--format", chosen]) == 0
    assert capfdbinary.readouterr().out == service.result_body(chosen)


def test_the_suffix_of_the_file_chooses_the_format(tmp_path: Path) -> None:
    assert run(["sql", "SELECT 1", "-o", str(tmp_path / "out.parquet")]) == 0
    assert (tmp_path / "out.parquet").read_text() == "parquet of 250 rows"


def test_a_table_goes_into_a_file_too(tmp_path: Path) -> None:
    assert run(["sql", "SELECT 1", "-o", str(tmp_path / "out.txt")]) == 0
    assert "č99" in (tmp_path / "out.txt").read_text()


def test_statistics_are_written_as_the_contract_says(tmp_path: Path) -> None:
    file = tmp_path / "stats.json"
    assert run(["sql", "SELECT 1", "--stats", str(file)]) == 0
    assert json.loads(file.read_text()).keys() == {
        "job_id", "state", "elapsed_ms", "bytes_scanned", "bytes_moved", "result_rows", "withheld_groups",
        "transfers", "steps",
    }  # fmt: skip


def test_statistics_of_a_failed_job_are_written_too(tmp_path: Path, service: FakeService) -> None:
    service.failure = DivisionByZero()
    assert run(["sql", "SELECT 1/0", "--stats", str(tmp_path / "s")]) == 1
    assert json.loads((tmp_path / "s").read_text())["state"] == "failed"


@pytest.mark.parametrize(
    ("failure", "code"),
    [
        (DivisionByZero(), 1),
        (OutOfMemory(limit_bytes=1), 1),
        (SqlSyntax(reason="x"), 2),
        (BudgetExceeded(rows=1, bytes=1, budget="job.rows", lake="l", limit="0"), 4),
        (QuotaExhausted(["rows-day"]), 4),
        (JobCancelled(job="j"), 130),
    ],
)
def test_the_exit_code_tells_whose_problem_it_is(
    failure: DatacanalError, code: int, service: FakeService, capsys: pytest.CaptureFixture[str]
) -> None:
    service.failure = failure
    assert run(["sql", "SELECT 1"]) == code
    assert capsys.readouterr().err == f"{failure.code}: {failure.detail}\n{failure.remedy}\n"


def test_a_service_that_is_not_there_gives_three(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATACANAL_URL", "http://127.0.0.1:1")
    assert run(["sql", "SELECT 1"]) == 3


@pytest.mark.parametrize(
    "arguments",
    [
        ["sql"],
        ["sql", "SELECT 1", "-f", "x"],
        ["sql", "-f", "/no/such/file"],
        ["sql", "SELECT 1", "--param", "novalue"],
        ["sql", "SELECT 1", "--format", "xml"],
        ["sql", "SELECT 1", "--timeout", "-1"],
        ["sql", "SELECT 1", "-o", "/no/such/folder/x.csv"],
        ["nonsense"],
        ["product", "list", "--anything"],
        ["serve", "gateway"],
        ["job", "show", "job_404"],
        ["token", "create", "--name", "a", "--role", "king"],
    ],
)
def test_wrong_usage_gives_two_and_no_traceback(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(arguments) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_an_error_text_cannot_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["explain", "SELECT"]) == 2
    assert "at\\x1b[31m the end" in capsys.readouterr().err


def test_a_statement_comes_from_a_file_or_from_standard_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, service: FakeService
) -> None:
    (tmp_path / "q.sql").write_bytes("\ufeffSELECT 'ž'".encode())
    assert run(["job", "submit", "-f", str(tmp_path / "q.sql")]) == 0
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"SELECT 2")))
    assert run(["job", "submit", "-"]) == 0
    assert [job.sql for job in service.jobs.values()] == ["SELECT 'ž'", "SELECT 2"]


def test_a_file_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    (tmp_path / "q.sql").write_bytes(b"SELECT '\xff'")
    assert run(["job", "submit", "-f", str(tmp_path / "q.sql")]) == 2


def test_a_submitted_job_is_shown_cancelled_and_retried(capsys: pytest.CaptureFixture[str]) -> None:
    for command in (["submit", "SELECT 'x'"], ["show", "job_1"], ["cancel", "job_1"], ["retry", "job_1"], ["list"]):
        assert run(["job", *command]) == 0
    out = capsys.readouterr().out
    assert out.startswith("job_1\n")
    assert "job_1 cancelled" in out
    assert "job_1_again" in out


def test_lists_are_tables_or_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["dataset", "list"]) == 0
    assert "数据.orders  core  1,234,567" in capsys.readouterr().out
    assert run(["site", "show", "core", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["lakes"] == ["transactions", "数据"]


def test_a_reader_who_has_enough_is_no_failure(service: FakeService) -> None:
    service.result_body = lambda _: b"x" * 2**24  # type: ignore[method-assign]  # more than any pipe holds
    command = [sys.executable, "-m", "datacanal.cli", "sql", "SELECT 1", "--format", "csv"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.read(10)
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait() == 0


def test_an_unexpected_failure_is_told_in_two_lines(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("datacanal.cli.catalogue.connect", lambda: 1 / 0)
    assert run(["site", "list"]) == 1
    error = capsys.readouterr().err
    assert error.startswith("internal_error: ZeroDivisionError")
    assert "DATACANAL_DEBUG=1" in error


@pytest.mark.parametrize(
    ("given", "value"),
    [
        ("7", 7), ("-1.5", -1.5), ("1e3", 1000.0), ("true", True), ("null", None), ("", ""),
        ("007", "007"), ("NaN", "NaN"),
        ("True", "True"), ('"7"', '"7"'), ("[1]", "[1]"), ("a=b", "a=b"), ("Žižka", "Žižka"),
        ("12345678901234567890", 12345678901234567890),
    ],
)  # fmt: skip
def test_parameters_are_typed_by_the_syntax_of_json(given: str, value: object) -> None:
    parsed = parse_params([f"x={given}"])["x"]
    assert (parsed, type(parsed)) == (value, type(value))


@pytest.mark.parametrize("given", [["x"], ["=1"], ["x=1", "x=2"]])
def test_parameters_that_make_no_sense_are_refused(given: list[str]) -> None:
    with pytest.raises(BadParameter):
        parse_params(given)


NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("30d", datetime(2026, 1, 31, tzinfo=UTC)),
        ("12h", datetime(2026, 1, 1, 12, tzinfo=UTC)),
        ("2026-06-01", datetime(2026, 6, 1, tzinfo=UTC)),
        ("2026-06-01T10:00:00+02:00", datetime(2026, 6, 1, 8, tzinfo=UTC)),
    ],
)
def test_an_expiry_is_a_span_or_a_time(text: str, moment: datetime) -> None:
    assert parse_expiry(text, NOW) == moment


@pytest.mark.parametrize("text", ["", "soon", "30", "2020-01-01", "0d", "999999w"])
def test_an_expiry_that_makes_no_sense_is_refused(text: str) -> None:
    with pytest.raises(BadField):
        parse_expiry(text, NOW)
