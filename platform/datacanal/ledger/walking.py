"""Walk the book from its beginning: recompute the chain, and hold it against the checkpoints."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from datacanal.domain.chain import digest, follow
from datacanal.domain.checkpoint import FIRST_MARK, Checkpoint, read_line
from datacanal.seals import is_signed


@dataclass(frozen=True, slots=True)
class Fault:
    """What does not hold, from the event or checkpoint `first` to `last`."""

    what: Literal["event", "checkpoint", "book", "meter"]
    first: int
    last: int
    reason: str


@dataclass(frozen=True, slots=True)
class End:
    """Where the walk ended: after so many events, at the last of the checkpoints that they agree with."""

    count: int
    head: str
    sealed: Checkpoint | None


@dataclass(frozen=True, slots=True)
class Pair:
    """One checkpoint as the book has it and as the copy has it: each a line, or nothing."""

    book: str | None
    copied: str | None


Event = Sequence[Any]
"""The values of `chain.FIELDS`, and the hash."""


def walk(
    events: Iterable[Event], seals: Iterator[Checkpoint], faults: list[Fault], each: Callable[[Event], None], start: End
) -> tuple[End, Checkpoint | None]:
    """Follow the events from `start` on, and every seal; adds the first fault of the events. `each` gets what holds.

    Also gives the first seal over more events than there are, unless the walk ended at a fault.
    """
    end, seal = start, next(seals, None)
    for event in events:
        fault = _fault_of(event, end)
        if fault is None:
            each(event)
            end = End(end.count + 1, event[-1], end.sealed)
            if seal is None or seal.count != end.count:
                continue
            if seal.head == end.head:
                end, seal = End(end.count, end.head, seal), next(seals, None)
                continue
            fault = _recomputed(seal, end)
        faults.append(fault)
        seal = None
        break
    for _ in seals:  # what is wrong with them is found as they are read
        pass
    return end, seal


def cut_off(seal: Checkpoint, end: End) -> Fault:
    """What it is that there are fewer events than a checkpoint counts."""
    reason = f"the events from {end.count + 1} on are missing: checkpoint {seal.number} counts {seal.count}"
    return Fault("event", end.count + 1, seal.count, reason)


def _fault_of(event: Event, end: End) -> Fault | None:
    seq, expected = event[0], end.count + 1
    if seq != expected:
        what = f"events {expected} to {seq - 1} are" if isinstance(seq, int) and seq > expected + 1 else "it is"
        found = "what stands there is no event" if seq is None else f"number {seq!r} stands there"
        return Fault("event", expected, expected, f"event {expected}: {what} missing, {found}")
    try:
        holds = follow(end.head, digest(event[:-1])) == event[-1]
    except TypeError:  # a value of a type that none of ours has
        holds = False
    if holds:
        return None
    since = (end.sealed.count if end.sealed else 0) + 1
    reason = f"event {seq} is not what was written there"
    if since < seq:
        reason += f", or one since event {since} was changed together with its hash"
    return Fault("event", seq, seq, reason)


def _recomputed(seal: Checkpoint, end: End) -> Fault:
    first = (end.sealed.count if end.sealed else 0) + 1
    reason = (
        f"one of the events {first} to {seal.count} was changed and the hashes after it computed anew: "
        f"checkpoint {seal.number} was signed over others"
    )
    return Fault("event", first, seal.count, reason)


def sound_checkpoints(
    pairs: Iterable[Pair], public: str, faults: list[Fault], behind: list[int]
) -> Iterator[Checkpoint]:
    """Every checkpoint that is signed and follows from the one before; adds the first fault.

    The last line of the copy may be missing, or its end: a crash leaves it so. Its number goes into `behind`.
    """
    before: Checkpoint | None = None
    found: Fault | None = None
    for number, pair in enumerate(pairs, 1):
        if behind and found is None:
            found = Fault("checkpoint", behind[0], behind[0], f"the copy lacks checkpoint {behind.pop()}")
            faults.append(found)
        right = [each for each in _read(pair) if _follows(each, before, number, public)]
        if pair.book is not None and right and _is_behind(pair):
            behind.append(number)
        elif found is None and (pair.book != pair.copied or not right):
            found = Fault("checkpoint", number, number, _why(number, pair, right))
            faults.append(found)
        if not right:
            return
        before = right[0]
        yield before


def _read(pair: Pair) -> list[Checkpoint]:
    read = [read_line(line) for line in (pair.book, pair.copied) if line is not None]
    return [each for each in read if each is not None]


def _follows(checkpoint: Checkpoint, before: Checkpoint | None, number: int, public: str) -> bool:
    mark, count = (before.mark, before.count) if before else (FIRST_MARK, 0)
    place = checkpoint.number == number and checkpoint.previous == mark and checkpoint.count > count
    return place and is_signed(checkpoint, public)


def _is_behind(pair: Pair) -> bool:
    copied = pair.copied or ""
    return not copied.endswith("\n") and (pair.book or "").startswith(copied)


def _why(number: int, pair: Pair, right: list[Checkpoint]) -> str:
    if pair.book is None and right:
        return f"the book lacks checkpoint {number}, which the copy has"
    if pair.book == pair.copied or not right:
        return f"checkpoint {number} is not signed by the ledger's key, or does not follow from the one before it"
    where = "the copy" if right[0].line == pair.book else "the book"
    return f"checkpoint {number} of {where} is not what was signed"
