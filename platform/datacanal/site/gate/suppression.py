"""Which groups of an aggregate are withheld: those that point at somebody, and those that would give them away.

Pure. A group points at somebody where fewer than `min_group` individuals are in it, where fewer (but some) contributed
to a governed measure, or where one of them contributed more than `max_share` of its absolute sum.

Whoever knows the sum over several groups knows the sum over those of them that were withheld. Sums that anybody may ask
for are those over the groups that agree in some of the group columns: blocks. So what a block hides must point at
nobody either, or as many of its other groups, the smallest first, go too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Hashes = NDArray[np.uint64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Contribution:
    """To one governed measure, by pair: whether there was a value, and the sum of the absolute values.

    `shares` is None where nobody minds who contributed most of it.
    """

    given: Flags
    shares: Floats | None = None
    max_share: float = 1.0


@dataclass(frozen=True)
class EntitySet:
    """Pairs of group and individual, sorted by group: those of group `n` are `starts[n]` to `starts[n + 1]`.

    Rows that belong to nobody are a pair that is not `known`: no individual, though it may dominate.
    """

    starts: Ints
    entity: Hashes
    known: Flags
    measures: tuple[Contribution, ...]

    @property
    def sizes(self) -> Ints:
        """Pairs per group."""
        return np.diff(self.starts)

    def pairs_of(self, groups: Ints) -> Ints:
        """The positions of the pairs of those groups."""
        lengths = self.sizes[groups]
        ends = np.cumsum(lengths)
        return np.repeat(self.starts[groups] - ends + lengths, lengths) + np.arange(lengths.sum())


def withheld(sets: Sequence[EntitySet], min_group: int) -> Flags:
    """By group: whether it points at somebody in any entity set."""
    found: Flags = np.zeros(sets[0].starts.size - 1, bool)
    for each in sets:
        found |= _pointing(each, _owners(each), found.size, min_group)
    return found


def complemented(removed: Flags, sets: Sequence[EntitySet], min_group: int, blocks: Sequence[Ints]) -> Flags:
    """The removed groups and, of each block, the smallest others while what it hides points at somebody.

    `blocks` has for each choice of columns that may be summed over the block of every group. Ends where nothing more
    has to go; a block may be withheld whole.
    """
    result = removed.copy()
    while any(_complement(result, sets, min_group, block) for block in blocks):
        pass
    return result


def _complement(result: Flags, sets: Sequence[EntitySet], min_group: int, block: Ints) -> bool:
    changed = False
    for members in members_of(block):
        if not 0 < np.count_nonzero(result[members]) < members.size:
            continue
        more = _to_hide(members[result[members]], members[~result[members]], sets, min_group)
        result[more] = True
        changed = changed or more.size > 0
    return changed


def _to_hide(hidden: Ints, shown: Ints, sets: Sequence[EntitySet], min_group: int) -> Ints:
    """The smallest of the shown groups without which what is hidden would point at somebody."""
    by_size = shown[np.lexsort((shown, sets[0].sizes[shown]))]

    def enough(count: int) -> bool:
        return not points(sets, min_group, np.concatenate((hidden, by_size[:count])))

    return by_size[: _fewest(enough, by_size.size)]


def members_of(block: Ints) -> list[Ints]:
    """The groups of each block."""
    order = np.argsort(block, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(block[order])) + 1)


def _fewest(enough: Callable[[int], bool], most: int) -> int:
    """The smallest count that is enough, at most `most`. What is enough stays enough with more."""
    count, low = 0, 0
    while count < most and not enough(count):
        low, count = count + 1, min(most, max(1, 2 * count))
    while low < count:
        middle = (low + count) // 2
        low, count = (low, middle) if enough(middle) else (middle + 1, count)
    return count


def points(sets: Sequence[EntitySet], min_group: int, groups: Ints) -> bool:
    """Whether those groups taken together point at somebody."""
    for each in sets:
        whole = _whole(each, each.pairs_of(groups))
        if _pointing(whole, np.zeros(whole.entity.size, np.int64), 1, min_group)[0]:
            return True
    return False


def _whole(each: EntitySet, pairs: Ints) -> EntitySet:
    """The picked pairs as one group: what an individual contributed to several becomes one pair."""
    kept, place = np.unique(each.entity[pairs], return_inverse=True)
    size = kept.size
    known = np.bincount(place[~each.known[pairs]], minlength=size) == 0
    measures = tuple(_joined(one, pairs, place, size) for one in each.measures)
    return EntitySet(np.array([0, size]), kept, known, measures)


def _joined(one: Contribution, pairs: Ints, place: Ints, size: int) -> Contribution:
    given: Flags = np.bincount(place[one.given[pairs]], minlength=size) > 0
    shares = None if one.shares is None else np.bincount(place, one.shares[pairs], size).astype(np.float64)
    return replace(one, given=given, shares=shares)


def _owners(each: EntitySet) -> Ints:
    return np.repeat(np.arange(each.starts.size - 1), each.sizes)


def _pointing(each: EntitySet, owners: Ints, groups: int, min_group: int) -> Flags:
    found: Flags = np.bincount(owners[each.known], minlength=groups) < min_group
    for measure in each.measures:
        individuals = np.bincount(owners[measure.given & each.known], minlength=groups)
        found |= (individuals < min_group) & (np.bincount(owners[measure.given], minlength=groups) > 0)
        if measure.shares is not None:
            found |= _dominated(measure.shares, measure.max_share, owners, groups)
    return found


def _dominated(shares: Floats, max_share: float, owners: Ints, groups: int) -> Flags:
    """A sum of nothing but zeros is dominated by nobody; of one that is not a finite number nobody can say."""
    total = np.bincount(owners, shares, groups)
    top = np.zeros(groups)
    np.maximum.at(top, owners, shares)
    return ~(np.isfinite(total) & (top <= max_share * total))
