"""`datacanal job run FILE.py:FUNCTION` over a service with canned answers."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from datacanal.cli.main import run
from datacanal.testing.fake_service import TOKEN, FakeService, fake_job, listening

FILE = """
from datetime import date
from datacanal.client import Client
from anas_rates import RATE

client = Client()

@client.job(site="core", columns={"n": "BIGINT"}, purpose="of the file", timeouts={"run_timeout_s": 60})
def score(ctx, year: int, code: str = "x", since: date | None = None, of: list[int] | None = None):
    return year * RATE

def plain(ctx):
    return 1
"""


class ServiceThatTakesFunctions(FakeService):
    """`bodies` are the requests that were submitted."""

    def __init__(self) -> None:
        super().__init__()
        self.bodies: list[dict[str, object]] = []

    def submit(self, request: httpx.Request) -> httpx.Response:
        self.bodies.append(json.loads(request.content))
        self.jobs["job_1"] = fake_job("job_1", "score")
        return self.answer(self.jobs["job_1"], 202)


@pytest.fixture
def service() -> ServiceThatTakesFunctions:
    return ServiceThatTakesFunctions()


@pytest.fixture
def file(service: FakeService, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """A file with a declared function, and a helper beside it."""
    monkeypatch.setenv("DATACANAL_TOKEN", TOKEN)
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "anas_score.py").write_text(FILE)
    (tmp_path / "anas_rates.py").write_text("RATE = 3\n")
    with listening(service) as url:
        monkeypatch.setenv("DATACANAL_URL", url)
        yield tmp_path / "anas_score.py"
    for name in ("anas_score", "anas_rates"):
        sys.modules.pop(name, None)


def test_a_function_of_a_file_is_run_and_its_result_printed(
    file: Path, service: ServiceThatTakesFunctions, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["--param", "year=1997", "--param", "code=007", "--param", "since=2024-02-29", "--param", "of=[1, 2]"]
    assert run(["job", "run", f"{file}:score", *given, "--purpose", "of the line"]) == 0
    [body] = service.bodies
    assert body["kind"] == "python"
    assert body["params"] == {"year": 1997, "code": "007", "since": "2024-02-29", "of": [1, 2]}
    assert body["purpose"] == "of the line"
    assert body["timeouts"]["run_timeout_s"] == 60  # type: ignore[index]  # it is an object
    assert capsys.readouterr().out.splitlines()[-1].split() == ["1"]


def test_submitting_prints_the_jobs_id(
    file: Path, service: ServiceThatTakesFunctions, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["job", "submit", f"{file}:score", "--param", "year=1997"]) == 0
    assert capsys.readouterr().out == "job_1\n"
    assert service.bodies[0]["purpose"] == "of the file"


@pytest.mark.parametrize(
    ("name", "given", "words"),
    [
        ("score", ["year=soon"], "'soon' (str) was given, int is needed"),
        ("score", [], "the parameter 'year': it has no value"),
        ("score", ["year=1", "month=2"], "no such parameter"),
        ("plain", [], "no function 'plain' declared"),
        ("nothing", [], "no function 'nothing' declared"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_sent(
    file: Path, service: ServiceThatTakesFunctions, capsys: pytest.CaptureFixture[str], name: str,
    given: list[str], words: str,
) -> None:  # fmt: skip
    options = [part for text in given for part in ("--param", text)]
    assert run(["job", "run", f"{file}:{name}", *options]) == 2
    assert words in capsys.readouterr().err
    assert service.bodies == []


def test_a_file_that_is_missing_or_fails_is_named(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text("1 / 0\n")
    assert run(["job", "run", f"{file}:score"]) == 2
    assert "ZeroDivisionError" in capsys.readouterr().err
    assert run(["job", "run", f"{file.parent}/none.py:score"]) == 2
    assert "no such file" in capsys.readouterr().err
