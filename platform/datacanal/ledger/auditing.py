"""Prove an export without the ledger's database: for auditors, with the public key and the copy of the checkpoints."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

from datacanal.domain.chain import BEGINNING, FIELDS
from datacanal.domain.checkpoint import Checkpoint
from datacanal.domain.errors import BadField
from datacanal.ledger.exporting import COLUMNS, cloud_event
from datacanal.ledger.verifying import Report, copied_lines, report_of
from datacanal.ledger.walking import End, Event, Fault, Pair, sound_checkpoints, walk


def verify_export(exported: Path, public: str, copy: Path) -> Report:
    """What of a whole export, or of one of a span of time, holds. Raises `BadField` for a file without events."""
    faults: list[Fault] = []
    events = _events(exported)
    first = next(events, None)
    if first is None:
        raise BadField(field="--export", reason=f"{exported} holds no events")
    seals = sound_checkpoints((Pair(line, line) for line in copied_lines(copy)), public, faults, [])
    start, upcoming = _before(first, seals, faults)
    end, above = walk(_linked(chain([first], events), start.head), upcoming, faults, lambda _: None, start)
    return report_of(end, faults, notes=tuple(_notes(start, end, above)))


def _before(first: list[Any], seals: Iterator[Checkpoint], faults: list[Fault]) -> tuple[End, Iterator[Checkpoint]]:
    """Where the export begins, and the checkpoints over it."""
    seq, before = first[0], first[len(FIELDS)]
    count = seq - 1 if isinstance(seq, int) and seq > 0 else 0
    sealed, seal = None, next(seals, None)
    while seal is not None and seal.count <= count:
        sealed, seal = seal, next(seals, None)
    right = BEGINNING if count == 0 else sealed.head if sealed is not None and sealed.count == count else before
    if before != right:
        faults.append(Fault("event", count + 1, count + 1, f"event {count + 1} does not follow from the one before it"))
    return End(count, right, sealed), chain([seal] if seal else [], seals)


def _events(exported: Path) -> Iterator[list[Any]]:
    """The values of `COLUMNS`; a line that is no event, or not in the form that it was written in, gives none."""
    try:
        stream = exported.open("rb")
    except OSError as error:
        raise BadField(field="--export", reason=f"{exported}: {error.strerror}") from None
    with stream:
        if stream.peek(4)[:4] == b"PAR1":
            raise BadField(field="--export", reason=f"{exported} is Parquet; an export as NDJSON proves itself")
        for line in stream:
            yield _values(line)


def _linked(events: Iterable[list[Any]], head: str) -> Iterator[Event]:
    """Without the hash before each, where it is that of the one before; otherwise none of our events."""
    for *values, before, own in events:
        yield (*values, own if before == head else None)
        head = own


def _values(line: bytes) -> list[Any]:
    try:
        data = json.loads(line)["data"]
        values = [data[name] for name in COLUMNS]
        written = json.dumps(cloud_event(values), ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
    except (ValueError, TypeError, KeyError, RecursionError):
        return [None] * len(COLUMNS)
    return values if written == line else [values[0], *[None] * (len(COLUMNS) - 1)]


def _notes(start: End, end: End, above: Checkpoint | None) -> Iterator[str]:
    if start.count:
        yield f"the export begins with event {start.count + 1}"
    if end.sealed is None:
        yield "no checkpoint covers any of it: that the ledger has these events is not proven"
    if above is not None:
        yield f"the export ends with event {end.count}; checkpoint {above.number} counts {above.count}"
