"""Outlines of who contributed what to a group: small, and enough to see that two groups differ by few individuals.

An outline has cells. Each individual falls into one of them, by its hash, and the hash of its contribution is XORed
into the cell. Two groups that differ by the contributions of `n` individuals therefore differ in at most `n` cells:
counting cells never takes two groups for further apart than they are. It may take them for closer, where individuals
that differ share a cell; with 8 and more cells for each individual that `min_group` asks for, near that bound only.

Beside the cells stand the least hashes of its contributions. Groups of at least `n` individuals that differ by fewer
than `n` share one of their `n` least: the least of all that they share, as fewer than `n` are before it in either. So
only groups that share one of those are compared.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from datacanal.site.gate.suppression import Hashes, Ints

_CELLS_AT_LEAST = 512
_LEAST_KEPT = 16


@dataclass(frozen=True)
class Outline:
    """`cells` (a power of two) of them, of which those at `places` hold `values` and the others 0.

    `known` is its number in the log, where it came from there.
    """

    individuals: int
    least: Hashes
    cells: int
    places: Ints
    values: Hashes
    known: int | None = None

    @property
    def content(self) -> tuple[bytes, bytes]:
        """Equal for the same answers."""
        return self.places.tobytes(), self.values.tobytes()

    @cached_property
    def _full(self) -> Hashes:
        full = np.zeros(self.cells, np.uint64)
        full[self.places] = self.values
        return full

    def differing(self, other: Outline) -> int:
        """In how many cells the two differ: at most the number of individuals by whose contributions they do."""
        cells = min(self.cells, other.cells)
        return int(np.count_nonzero(_folded(self._full, cells) != _folded(other._full, cells)))


def _folded(full: Hashes, cells: int) -> Hashes:
    """As it would be with fewer cells."""
    folded: Hashes = np.bitwise_xor.reduce(full.reshape(-1, cells), axis=0)
    return folded


def outlines(starts: Ints, entity: Hashes, marks: Hashes, min_group: int) -> Iterator[Outline]:
    """The outlines of groups whose pairs stand at `starts[n]` to `starts[n + 1]`."""
    cells = cells_for(min_group)
    least = max(_LEAST_KEPT, min_group)
    place = ((entity >> np.uint64(20)) & np.uint64(cells - 1)).astype(np.int64)
    mixed = _mixed(entity, marks)
    for start, end in itertools.pairwise(starts.tolist()):
        yield _outline(place[start:end], mixed[start:end], cells, least)


def _outline(place: Ints, mixed: Hashes, cells: int, least: int) -> Outline:
    full = np.zeros(cells, np.uint64)
    np.bitwise_xor.at(full, place, mixed)
    places = np.flatnonzero(full)
    first = np.sort(mixed if mixed.size <= least else np.partition(mixed, least)[:least])
    return Outline(mixed.size, first, cells, places, full[places])


def cells_for(min_group: int) -> int:
    """How many cells tell groups of that size apart well."""
    return max(_CELLS_AT_LEAST, 1 << (8 * min_group - 1).bit_length())


def _mixed(entity: Hashes, marks: Hashes) -> Hashes:
    """One hash of individual and contribution (the finaliser of splitmix64); numpy's integers wrap around."""
    found = entity ^ (marks * np.uint64(0x9E3779B97F4A7C15))
    found = (found ^ (found >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    found = (found ^ (found >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: Hashes = found ^ (found >> np.uint64(31))
    return mixed


class Shelf:
    """Outlines of groups of one measure that were released, the log's first."""

    def __init__(self, min_group: int, known: Iterable[Outline] = ()) -> None:
        self._min_group = min_group
        self._by_hash: dict[int, list[Outline]] = {}
        self._always: list[Outline] = []
        for each in known:
            self.add(each)

    def add(self, outline: Outline) -> None:
        """Compare later groups with this one, too."""
        if outline.least.size < min(self._min_group, outline.individuals):
            self._always.append(outline)  # of a time when min_group was smaller, so it keeps too few
        for each in outline.least.tolist():
            self._by_hash.setdefault(each, []).append(outline)

    def same(self, outline: Outline) -> Outline | None:
        """The group that is the same answer again."""
        return next((each for each in self._comparable(outline) if each.differing(outline) == 0), None)

    def is_close(self, outline: Outline) -> bool:
        """Whether it differs from a group by the contributions of few individuals, which subtraction would show."""
        return any(0 < each.differing(outline) < self._min_group for each in self._comparable(outline))

    def _comparable(self, outline: Outline) -> Iterator[Outline]:
        seen = set()
        sharing = (self._by_hash.get(each, ()) for each in outline.least[: self._min_group].tolist())
        for group in (*sharing, self._always):
            for each in group:
                near = abs(each.individuals - outline.individuals) < self._min_group
                if near and id(each) not in seen:
                    seen.add(id(each))
                    yield each
