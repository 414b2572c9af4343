"""What a user is told of groups that are missing, of what left the sites, and of what attempts said."""

import json
from collections.abc import Iterator

import pytest

from datacanal.cli.main import run
from datacanal.testing.fake_service import TOKEN, FakeService, listening


@pytest.fixture
def service() -> FakeService:
    return FakeService()


@pytest.fixture(autouse=True)
def served(service: FakeService, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("DATACANAL_TOKEN", TOKEN)
    with listening(service) as url:
        monkeypatch.setenv("DATACANAL_URL", url)
        yield


def submitted(capsys: pytest.CaptureFixture[str]) -> str:
    assert run(["job", "submit", "SELECT 1"]) == 0
    return capsys.readouterr().out.strip()


@pytest.mark.parametrize(("groups", "told"), [(0, ""), (1, "1 group withheld "), (1234, "1,234 groups withheld ")])
def test_missing_groups_are_told_on_stderr_and_leave_the_result_as_it_is(
    groups: int, told: str, service: FakeService, capsys: pytest.CaptureFixture[str]
) -> None:
    service.withheld_groups = groups
    expected = told + "by an owner's policy: too small, or too close to an earlier answer\n" if told else ""
    for command in (["sql", "SELECT 1"], ["job", "result", "job_1"]):
        assert run(command) == 0
        shown = capsys.readouterr()
        assert shown.err == expected
        assert "withheld" not in shown.out


def test_a_job_shows_what_left_for_it_with_the_entry_that_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    job = submitted(capsys)
    assert run(["job", "show", job, "--egress"]) == 0
    line = capsys.readouterr().out.splitlines()[2].split()
    assert line[:2] == ["core", "7"]
    assert {"released", "result", "ana", "1,200", "3", "a" * 12} <= set(line)
    assert run(["job", "show", job, "--egress", "--json"]) == 0
    (entry,) = json.loads(capsys.readouterr().out)["entries"]
    assert (entry["hash"], entry["policies"]) == ("a" * 64, {"transactions": "d" * 64})


def test_logs_show_code_remedy_and_time_and_words_only_where_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    job = submitted(capsys)
    assert run(["job", "logs", job]) == 0
    shown = capsys.readouterr().out
    assert "q at core, attempt 1 (fence 2): failed after 1.5 s" in shown
    assert "conversion_failed: " in shown
    assert "TRY_CAST" in shown
    assert "Novák" not in shown
    assert run(["job", "logs", job, "--text"]) == 0
    shown = capsys.readouterr().out
    assert "'Novák\\x1b[31m' is no number" in shown
    assert "cut: the rest stays" in shown
    assert "logs_refused: Site 'west' keeps what" in shown
