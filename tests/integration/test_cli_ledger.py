"""`datacanal ledger …` on a home."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.ledgers import Ledger, draft, tampering

from datacanal.cli.main import run


@pytest.fixture
def config(tmp_path: Path) -> Path:
    ledger = Ledger(tmp_path / "home")
    ledger.grow(7, 3)
    ledger.close()
    file = tmp_path / "datacanal.toml"
    file.write_text(f'home = "{tmp_path / "home"}"\n[gateway]\n')
    return file


def told(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    code = run([str(each) for each in ("ledger", *arguments)])
    said = capsys.readouterr()
    return code, said.out, said.err


def test_a_ledger_that_holds_is_said_to_hold(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = told(capsys, "verify", "--config", config)
    assert code == 0
    assert "the ledger holds: 7 events" in out
    assert "6 sealed by checkpoint 2, 1 not sealed yet" in out


def test_a_damaged_one_fails_and_names_the_event(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with tampering(config.parent / "home") as book:
        book.execute("UPDATE events SET rows = 0 WHERE seq = 5")
    code, out, err = told(capsys, "verify", "--config", config, "--json")
    assert code == 1
    assert json.loads(out)["faults"][0]["first"] == 5
    assert err.startswith("ledger_damaged: The ledger does not verify: event 5 is not what was written there")


def test_an_export_is_proven_anywhere(config: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    home, events = config.parent / "home", tmp_path / "events.ndjson"
    assert told(capsys, "export", "--config", config, "-o", events)[:2] == (0, f"7 events in {events}\n")
    proof = ("--key", home / "ledger.pub", "--checkpoints", home / "checkpoints.ndjson")
    code, out, _ = told(capsys, "verify", "--export", events, *proof)
    assert code == 0
    assert "the ledger holds: 7 events" in out
    assert told(capsys, "verify", "--export", events)[0] == 2


def test_parquet_is_exported(config: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    events = tmp_path / "events.parquet"
    assert told(capsys, "export", "--config", config, "--format", "parquet", "-o", events)[0] == 0
    assert events.read_bytes()[:4] == b"PAR1"


def test_a_copy_one_line_behind_is_noted(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    copy = config.parent / "home" / "checkpoints.ndjson"
    copy.write_text(copy.read_text().splitlines(keepends=True)[0])
    code, out, _ = told(capsys, "verify", "--config", config)
    assert code == 0
    assert "the copy lacks checkpoint 2, as after a crash" in out


def test_a_home_without_a_ledger_gets_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "datacanal.toml"
    config.write_text('home = "home"\n')
    code, _, err = told(capsys, "verify", "--config", config)
    assert (code, err.partition(":")[0]) == (2, "not_found")
    assert not (tmp_path / "home").exists()


def test_it_verifies_while_a_gateway_writes(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ledger = Ledger(config.parent / "home")
    ledger.sequencer.start()
    for number in range(20, 60):
        ledger.add(draft(number))
        if number % 10 == 0:
            assert told(capsys, "verify", "--config", config)[0] == 0
    ledger.close()


def test_a_file_that_is_no_database_is_a_damaged_ledger(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    book = config.parent / "home" / "ledger.sqlite"
    book.write_bytes(b"garbage" * 1000)
    code, _, err = told(capsys, "verify", "--config", config)
    assert code == 1
    assert err.startswith(f"ledger_damaged: The ledger does not verify: {book} cannot be read: ")


def test_a_backup_is_compared_from_what_does_not_hold(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    copy = config.parent / "home" / "checkpoints.ndjson"
    copy.write_text(copy.read_text().replace('"number":1', '"number":7'))
    code, _, err = told(capsys, "verify", "--config", config)
    assert code == 1
    assert err.rstrip().endswith("compare them with a backup, from checkpoint 1 on.")


def test_an_export_is_not_held_against_nothing(
    config: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    home, events = config.parent / "home", tmp_path / "events.ndjson"
    told(capsys, "export", "--config", config, "-o", events)
    proof = ("verify", "--export", events, "--key", home / "ledger.pub", "--checkpoints")
    code, _, err = told(capsys, *proof, tmp_path / "mistyped")
    assert (code, err.splitlines()[0]) == (2, f"bad_field: --checkpoints: there is no file {tmp_path / 'mistyped'}")
    (tmp_path / "empty").touch()
    code, out, _ = told(capsys, *proof, tmp_path / "empty")
    assert code == 0
    assert "0 sealed by any checkpoint, 7 not sealed yet" in out
    assert "no checkpoint covers any of it" in out


def test_what_is_no_export_is_not_taken_for_a_damaged_ledger(
    config: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    home, events = config.parent / "home", tmp_path / "events.parquet"
    told(capsys, "export", "--config", config, "--format", "parquet", "-o", events)
    proof = ("--key", home / "ledger.pub", "--checkpoints", home / "checkpoints.ndjson")
    code, _, err = told(capsys, "verify", "--export", events, *proof)
    assert (code, err.split(":")[0]) == (2, "bad_field")
    events.write_text("{}\n")
    assert "what stands there is no event" in told(capsys, "verify", "--export", events, *proof)[1]


@pytest.mark.parametrize(
    ("span", "field"), [(("--from", "x"), "--from"), (("--to", "x"), "--to"), (("--from", "1d", "--to", "2d"), "--to")]
)
def test_a_span_that_is_none_is_named(
    config: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path, span: tuple[str, ...], field: str
) -> None:
    code, _, err = told(capsys, "export", "--config", config, "-o", tmp_path / "events", *span)
    assert (code, err.split(": ")[:2]) == (2, ["bad_field", field])
    assert not (tmp_path / "events").exists()
