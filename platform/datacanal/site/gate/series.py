"""What is released of one governed measure: groups and sums of them, held against what was released of it before."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from datacanal.protocol.plan import Entity
from datacanal.site.gate.demands import Demand
from datacanal.site.gate.guard import GuardedSet
from datacanal.site.gate.outlines import Outline, Shelf, outlines
from datacanal.site.gate.suppression import Flags, Ints
from datacanal.site.store.entity_sets import EntityLog, MeasureKey


class Series:
    """One measure, by the individuals of one entity set. `groups` are those that may be released."""

    def __init__(self, key: MeasureKey, part: GuardedSet, position: int, groups: Ints, min_group: int) -> None:
        self.key = key
        self._pairs = part.pairs
        self._given = part.pairs.measures[position].given
        self._marks = part.marks[position]
        self._min_group = min_group
        self._outlines = dict(zip(groups.tolist(), self._outlined(groups), strict=True))
        self._before = Shelf(min_group)
        self._beside = Shelf(min_group)

    def look_up(self, log: EntityLog) -> None:
        """Hold everything from now on against what the log knows."""
        fewest = min((each.individuals for each in self._outlines.values()), default=0)
        self._before = Shelf(self._min_group, log.outlines(self.key, fewest - self._min_group + 1))

    def may_stand(self, group: int) -> bool:
        """Whether the group differs by nobody, or by many, from each that was or is released."""
        outline = self._outlines[group]
        return not outline.individuals or self._is_known(outline) or not self._is_close(outline)

    def take(self, group: int) -> None:
        """The group is released: hold the later ones against it, too."""
        self._outlines[group] = outline = self._as_known(self._outlines[group])
        if outline.individuals and self._beside.same(outline) is None:
            self._beside.add(outline)

    def may_be_known(self, groups: Ints) -> bool:
        """The same for a sum of groups, held against earlier releases: within one the groups hide each other."""
        outline = self._sum(groups)
        return not outline.individuals or self._before.same(outline) is not None or not self._before.is_close(outline)

    def released(self, removed: Flags, sums: Sequence[Ints]) -> tuple[Outline, ...]:
        """What the log learns: the groups that are left and the sums that follow from them, each once."""
        found = [each for group, each in self._outlines.items() if not removed[group]]
        found += [self._as_known(self._sum(groups)) for groups in sums]
        return tuple({each.content: each for each in found if each.individuals}.values())

    def _is_known(self, outline: Outline) -> bool:
        return self._before.same(outline) is not None or self._beside.same(outline) is not None

    def _is_close(self, outline: Outline) -> bool:
        return self._before.is_close(outline) or self._beside.is_close(outline)

    def _as_known(self, outline: Outline) -> Outline:
        return self._before.same(outline) or outline

    def _outlined(self, groups: Ints) -> Iterator[Outline]:
        """Who contributed no value is not part of it."""
        pairs = self._pairs.pairs_of(groups)
        given = self._given[pairs]
        owners = np.repeat(np.arange(groups.size), self._pairs.sizes[groups])[given]
        starts = np.concatenate(([0], np.cumsum(np.bincount(owners, minlength=groups.size)))).astype(np.int64)
        return outlines(starts, self._pairs.entity[pairs[given]], self._marks[pairs[given]], self._min_group)

    def _sum(self, groups: Ints) -> Outline:
        """The groups as one. Marks add up: an individual's in the sum is that of all that it contributed."""
        pairs = self._pairs.pairs_of(groups)
        pairs = pairs[self._given[pairs]]
        entity, place = np.unique(self._pairs.entity[pairs], return_inverse=True)
        marks = np.zeros(entity.size, np.uint64)
        np.add.at(marks, place, self._marks[pairs])
        [outline] = outlines(np.array([0, entity.size]), entity, marks, self._min_group)
        return outline


def series_of(
    entities: Sequence[Entity], parts: Sequence[GuardedSet], groups: Ints, demand: Demand, log: EntityLog
) -> list[Series]:
    """One for each governed measure and entity set."""
    found = []
    for entity, part in zip(entities, parts, strict=True):
        for position, measure in enumerate(demand.measures):
            for lake, dataset, column in measure.origins:
                key = MeasureKey(lake, dataset, column, f"{entity.lake}.{entity.dataset}")
                found.append(Series(key, part, position, groups, demand.min_group))
    for each in found:
        each.look_up(log)
    return found
