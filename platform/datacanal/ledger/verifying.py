"""Prove the book: whatever of it was changed, removed, put in or put elsewhere is found, and where."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, fields
from itertools import zip_longest
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import Connection, literal, select

from datacanal.domain.chain import BEGINNING, FIELDS
from datacanal.domain.checkpoint import Checkpoint
from datacanal.ledger.chain import stored, stored_instant
from datacanal.ledger.checkpoints import WHOSE
from datacanal.ledger.models import BookRow, CheckpointRow, EventRow
from datacanal.ledger.paging import Unreadable, in_pages
from datacanal.ledger.recounting import Recount
from datacanal.ledger.walking import End, Event, Fault, Pair, cut_off, sound_checkpoints, walk

_CHECKPOINT = [field.name for field in fields(Checkpoint)]
_AT = _CHECKPOINT.index("at")


class Readable(Protocol):
    """A store of which only the reading is needed."""

    def reading(self) -> AbstractContextManager[Connection]:
        """What was committed, as it was in one moment."""


@dataclass(frozen=True, slots=True)
class Report:
    """`faults` is empty where everything holds; the last `unsealed` events no checkpoint covers yet.

    `behind` is a checkpoint that the copy lacks, as after a crash. `notes` say what is no fault and worth knowing.
    """

    count: int
    head: str
    sealed: Checkpoint | None
    unsealed: int
    faults: tuple[Fault, ...]
    behind: int | None = None
    notes: tuple[str, ...] = ()


def verify(store: Readable, public: str, copy: Path) -> Report:
    """Look at the whole book as it is in one moment, at the copy of its checkpoints, and at what the meters say."""
    faults: list[Fault] = []
    behind: list[int] = []
    recount = Recount()
    with store.reading() as connection:
        pairs = _pairs(store, connection, copy)
        seals = sound_checkpoints(pairs, public, faults, behind)
        end, above = walk(_events(connection), seals, faults, recount.add, End(0, BEGINNING, None))
        if above is not None:
            faults.append(cut_off(above, end))
        if not any(fault.what == "event" for fault in faults):
            faults.extend(_end_faults(connection, end))
            faults.extend(recount.faults(connection))
    return report_of(end, faults, behind[0] if behind else None)


def report_of(end: End, faults: list[Fault], behind: int | None = None, notes: tuple[str, ...] = ()) -> Report:
    """What a walk found, events first."""
    unsealed = end.count - (end.sealed.count if end.sealed else 0)
    ordered = sorted(faults, key=lambda fault: fault.what != "event")
    if behind is not None:
        notes = (*notes, f"the copy lacks checkpoint {behind}, as after a crash: the next gateway completes it")
    return Report(end.count, end.head, end.sealed, unsealed, tuple(ordered), behind, notes)


def copied_lines(copy: Path) -> Iterator[str]:
    """The lines of the copy with their ends; none where there is no such file."""
    try:
        with copy.open("rb") as stream:
            for line in stream:
                yield line.decode("ascii", "replace")
    except FileNotFoundError:
        return


def _events(connection: Connection) -> Iterator[Event]:
    try:
        for row in in_pages(connection, EventRow.seq, (*FIELDS[1:], "hash")):
            yield stored(row)
    except Unreadable as unreadable:  # no event: the walk finds that it is none
        yield [unreadable.number, *[None] * len(FIELDS)]


def _pairs(store: Readable, connection: Connection, copy: Path) -> Iterator[Pair]:
    """The book's checkpoints beside the copy's, the first with the first.

    Gateways may go on sealing meanwhile: a line of the copy comes after its row, so the copy is read later than the
    book, and what of it the book did not have then is looked for once more.
    """
    both = zip_longest(_book_lines(connection), copied_lines(copy))
    for number, (line, copied) in enumerate(both, 1):
        if line is None and _has_by_now(store, number):
            return
        yield Pair(line, copied)


def _has_by_now(store: Readable, number: int) -> bool:
    with store.reading() as connection:
        query = select(literal(1)).where(CheckpointRow.number == number)
        return connection.execute(query).first() is not None


def _book_lines(connection: Connection) -> Iterator[str]:
    try:
        for row in in_pages(connection, CheckpointRow.number, (*_CHECKPOINT[1:], "tenant", "principal")):
            values: list[Any] = list(row[:-2])
            values[_AT] = stored_instant(values[_AT])
            yield _line(values) if tuple(row[-2:]) == WHOSE else f"?{_line(values)}"
    except Unreadable:
        yield "?"


def _line(values: list[object]) -> str:
    try:
        return json.dumps(dict(zip(_CHECKPOINT, values, strict=True)), separators=(",", ":")) + "\n"
    except TypeError:  # a value of a type that none of ours has
        return "?"


def _end_faults(connection: Connection, end: End) -> Iterator[Fault]:
    noted = connection.execute(select(BookRow.seq, BookRow.head)).one()
    if (noted.seq, noted.head) != (end.count, end.head):
        reason = f"the book's end is noted as event {noted.seq}, and its events end with {end.count}"
        first = min(noted.seq, end.count) + 1
        yield Fault("book", first, max(noted.seq, end.count, first), reason)
