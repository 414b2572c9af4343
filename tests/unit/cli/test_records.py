"""`datacanal site record …` and `site log`: read at the site's machine, beside a running agent or without one."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from datacanal.cli.main import run
from datacanal.cli.moments import parse_since
from datacanal.domain.errors import BadField
from datacanal.site.record.entry import Entry
from datacanal.site.store.models import AttemptRow
from datacanal.testing.site_books import SiteBooks, open_books

NOON = datetime(2030, 5, 1, 12, tzinfo=UTC)
CONFIG = """
home = "state"
[control]
listen = "127.0.0.1:8400"
"""
SITE = """
[[sites]]
name = "{name}"
control = "http://127.0.0.1:8400"
exchange = "127.0.0.1:{port}"
"""
RELEASE = Entry(
    at_ms=int(NOON.timestamp() * 1000),
    kind="result",
    decision="released",
    tenant="local",
    principal="ana",
    job="job_1",
    step="s1",
    receivers=("ana",),
    policies={"t": "d" * 64},
    columns=(("jméno", "masked"),),
    rows=1234,
    bytes=5000,
    digest="x",
)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "datacanal.toml"
    file.write_text(CONFIG + SITE.format(name="core", port=8410))
    return file


@pytest.fixture
def books(tmp_path: Path) -> Iterator[SiteBooks]:
    opened = open_books(tmp_path / "state" / "sites" / "core")
    opened.record.add(RELEASE)
    refusal = "egress_budget_exceeded: too much\x1b[2J"
    opened.record.add(replace(RELEASE, job="job_2", decision="refused", reason=refusal, at_ms=RELEASE.at_ms + 1000))
    yield opened
    opened.close()


def entries(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[int]:
    assert run(["site", "record", "list", "--json", *arguments]) == 0
    return [entry["seq"] for entry in json.loads(capsys.readouterr().out)]


def test_the_list_shows_the_newest_first_and_nothing_that_steers_a_terminal(
    books: SiteBooks, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["site", "record", "list", "--config", str(config)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[2:]] == ["2", "1"]
    assert "refused" in lines[2]
    assert "\\x1b[2J" in lines[2]
    assert "1,234" in lines[3]


def test_the_list_is_narrowed_by_job_time_decision_and_number(
    books: SiteBooks, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["--config", str(config)]
    assert entries(capsys, *asked, "--job", "job_1") == [1]
    assert entries(capsys, *asked, "--since", "2030-05-01T12:00:01") == [2]
    assert entries(capsys, *asked, "--decision", "released") == [1]
    assert entries(capsys, *asked, "--limit", "1") == [2]


def test_one_entry_is_shown_whole(books: SiteBooks, config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["site", "record", "show", "1", "--config", str(config), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["columns"] == [["jméno", "masked"]]
    assert shown["hash"] == books.record.entries()[0].hash
    assert run(["site", "record", "show", "1", "--config", str(config)]) == 0
    text = capsys.readouterr().out
    assert "2030-05-01 12:00:00 UTC" in text
    assert shown["hash"] in text
    assert run(["site", "record", "show", "9", "--config", str(config)]) == 2


def test_verify_tells_count_and_head_while_the_agent_has_the_store_open_and_after(
    books: SiteBooks, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in ("open", "closed"):
        assert run(["site", "record", "verify", "--config", str(config)]) == 0
        assert f"2 entries, the last with hash {books.record.entries()[1].hash}" in capsys.readouterr().out
        books.close()


def test_verify_fails_naming_the_entry_that_does_not_hold(
    books: SiteBooks, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with books.engine.begin() as connection:
        connection.exec_driver_sql("DROP TRIGGER record_stands")
        connection.exec_driver_sql("UPDATE record SET rows = 1 WHERE seq = 1")
    assert run(["site", "record", "verify", "--config", str(config)]) == 1
    told = capsys.readouterr().err
    assert "record_damaged" in told
    assert "entry 1: its content" in told


def test_a_store_that_is_none_is_told_as_damage(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home = config.parent / "state" / "sites" / "core"
    home.mkdir(parents=True)
    assert run(["site", "record", "list", "--config", str(config)]) == 2
    (home / "site.db").write_bytes(b"no database at all, whatever it says" * 100)
    assert run(["site", "record", "list", "--config", str(config)]) == 1
    assert "record_damaged" in capsys.readouterr().err


def test_of_several_sites_one_must_be_named(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config.write_text(config.read_text() + SITE.format(name="west", port=8411))
    assert run(["site", "record", "list", "--config", str(config)]) == 2
    assert "core, west" in capsys.readouterr().err
    assert run(["site", "record", "list", "--config", str(config), "--site", "north"]) == 2


def test_the_words_of_attempts_are_read_at_the_site(
    books: SiteBooks, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = "Could not convert string 'Novák 850612/1234' to INT32\x1b[31m"
    books.work.save_attempt(
        AttemptRow(
            job="job_1",
            step="s1",
            fence=2,
            attempt=1,
            plan_digest="p",
            finished_ms=RELEASE.at_ms,
            outcome="conversion_failed",
            said=said,
            tenant="local",
            principal="ana",
        )
    )
    assert run(["site", "log", "job_1", "--config", str(config)]) == 0
    text = capsys.readouterr().out
    assert "s1, attempt 1 (fence 2): conversion_failed" in text
    assert "Novák 850612/1234" in text
    assert "\x1b" not in text
    assert run(["site", "log", "job_9", "--config", str(config)]) == 2


def test_since_is_a_span_back_from_now_or_an_instant() -> None:
    assert parse_since("12h", NOON).isoformat() == "2030-05-01T00:00:00+00:00"
    assert parse_since("2030-04-01", NOON).isoformat() == "2030-04-01T00:00:00+00:00"
    assert parse_since("2030-04-01T02:00:00+02:00", NOON).timestamp() == parse_since("2030-04-01", NOON).timestamp()
    for nonsense in ("yesterday", "999999w"):
        with pytest.raises(BadField):
            parse_since(nonsense, NOON)
