"""Exports are CloudEvents that prove themselves, and Parquet with the same columns."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from tests.ledgers import AT, Ledger, draft

from datacanal.domain.errors import BadField
from datacanal.ledger.auditing import verify_export
from datacanal.ledger.exporting import COLUMNS, Span, write_ndjson, write_parquet
from datacanal.ledger.signing import ledger_key
from datacanal.ledger.verifying import Report

EVENTS = 12


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ledger]:
    ledger = Ledger(tmp_path_factory.mktemp("book") / "home")
    ledger.grow(EVENTS, 3)
    yield ledger
    ledger.close()


def exported(ledger: Ledger, file: Path, span: Span = Span()) -> list[bytes]:  # noqa: B008  # it is frozen
    with file.open("wb") as out:
        count = write_ndjson(ledger.store, span, out)
    lines = file.read_bytes().splitlines(keepends=True)
    assert count == len(lines)
    return lines


def audited(ledger: Ledger, file: Path, lines: list[bytes] | None = None) -> Report:
    if lines is not None:
        file.write_bytes(b"".join(lines))
    return verify_export(file, ledger_key(ledger.home).public, ledger.copy)


def test_every_event_is_a_cloud_event(ledger: Ledger, tmp_path: Path) -> None:
    lines = exported(ledger, tmp_path / "events")
    first = json.loads(lines[0])
    assert {name: first[name] for name in ("specversion", "id", "type", "subject")} == {
        "specversion": "1.0", "id": draft(1).id, "type": "datacanal.usage.v1", "subject": "acc_1",
    }  # fmt: skip
    assert first["time"] == first["data"]["at"] == (AT + timedelta(seconds=1)).isoformat(timespec="microseconds")
    assert list(first["data"]) == list(COLUMNS)
    assert json.loads(lines[1])["data"]["before"] == first["data"]["hash"]


def test_an_export_is_proven_without_the_database(ledger: Ledger, tmp_path: Path) -> None:
    exported(ledger, tmp_path / "events")
    report = audited(ledger, tmp_path / "events")
    assert (report.count, report.unsealed, report.faults, report.notes) == (EVENTS, 0, (), ())


@pytest.mark.parametrize(
    ("since", "until", "begins", "ends"), [(4, 9, 4, 8), (5, 6, 5, 5), (1, 7, 1, 6), (7, 13, 7, 12), (4, 7, 4, 6)]
)
def test_an_export_of_a_span_of_time_is_proven_too(
    ledger: Ledger, tmp_path: Path, since: int, until: int, begins: int, ends: int
) -> None:
    span = Span(AT + timedelta(seconds=since), AT + timedelta(seconds=until))
    lines = exported(ledger, tmp_path / "events", span)
    assert [json.loads(lines[place])["data"]["seq"] for place in (0, -1)] == [begins, ends]
    report = audited(ledger, tmp_path / "events")
    assert report.faults == ()
    assert report.count == ends
    assert (f"the export begins with event {begins}" in report.notes) is (begins > 1)
    assert any(note.startswith(f"the export ends with event {ends};") for note in report.notes) is (ends < EVENTS)


def test_whatever_is_changed_in_an_export_is_found_and_located(ledger: Ledger, tmp_path: Path) -> None:
    whole = exported(ledger, tmp_path / "events")
    chance = random.Random(7)
    for _ in range(150):
        lines, place = list(whole), chance.randrange(EVENTS - 1)
        match chance.choice(("flip", "flip", "flip", "remove", "swap", "insert")):
            case "flip":
                content = bytearray(lines[place])
                content[chance.randrange(len(content) - 1)] ^= 1 << chance.randrange(8)
                lines[place] = bytes(content)
            case "remove" if place:
                del lines[place]
            case "remove":
                continue
            case "swap":
                lines[place], lines[place + 1] = lines[place + 1], lines[place]
            case "insert":
                lines.insert(place, lines[place - 1])
        report = audited(ledger, tmp_path / "events", lines)
        assert report.faults, (place, lines[place])
        if place:  # where the first line is another, the export says that it begins elsewhere
            assert report.faults[0].first == place + 1


def test_an_export_with_hashes_computed_anew_does_not_lead_to_the_checkpoints(ledger: Ledger, tmp_path: Path) -> None:
    other = Ledger(tmp_path / "other")
    other.add(*(draft(number, rows=1) for number in range(1, EVENTS + 1)))
    exported(other, tmp_path / "events")
    other.close()
    [fault] = audited(ledger, tmp_path / "events").faults
    assert (fault.first, fault.last) == (1, 3)


def test_the_beginning_of_an_export_is_held_against_the_checkpoint_before_it(ledger: Ledger, tmp_path: Path) -> None:
    lines = exported(ledger, tmp_path / "events", Span(AT + timedelta(seconds=4)))
    event = json.loads(lines[0])
    event["data"]["before"] = "0" * 64
    lines[0] = json.dumps(event, separators=(",", ":")).encode() + b"\n"
    assert audited(ledger, tmp_path / "events", lines).faults[0].first == 4


@pytest.mark.parametrize("content", [None, b""])
def test_a_file_without_events_is_refused(ledger: Ledger, tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "events").write_bytes(content)
    with pytest.raises(BadField):
        audited(ledger, tmp_path / "events")


def test_an_export_as_parquet_does_not_prove_itself(ledger: Ledger, tmp_path: Path) -> None:
    with (tmp_path / "events").open("wb") as out:
        write_parquet(ledger.store, Span(), out)
    with pytest.raises(BadField, match="is Parquet; an export as NDJSON proves itself"):
        audited(ledger, tmp_path / "events")


def test_an_empty_span_has_no_events(ledger: Ledger, tmp_path: Path) -> None:
    assert exported(ledger, tmp_path / "events", Span(AT + timedelta(days=1))) == []


def test_parquet_has_the_same_columns(ledger: Ledger, tmp_path: Path) -> None:
    with (tmp_path / "events.parquet").open("wb") as out:
        assert write_parquet(ledger.store, Span(), out) == EVENTS
    table = pq.read_table(tmp_path / "events.parquet")
    lines = [json.loads(line)["data"] for line in exported(ledger, tmp_path / "events")]
    assert table.column_names == list(COLUMNS)
    assert table["hash"].to_pylist() == [line["hash"] for line in lines]
    assert table["at"].to_pylist()[0] == AT + timedelta(seconds=1)
    assert sum(table["units"].to_pylist()) == sum(line["units"] for line in lines)
