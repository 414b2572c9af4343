"""The gate's judgement of an aggregate: which groups are withheld, and what the entity log learns of the others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from datacanal.domain.errors import TooManyGroups
from datacanal.protocol.plan import Entity, PlanColumn, Protection
from datacanal.site.gate.blocks import blocks_of
from datacanal.site.gate.demands import Demand, GovernedMeasure, demand_of
from datacanal.site.gate.guard import GuardedSet, read_guard
from datacanal.site.gate.outlines import Outline, Shelf, outlines
from datacanal.site.gate.rewriting import first_columns
from datacanal.site.gate.suppression import Flags, Ints, complemented, withheld
from datacanal.site.store.entity_sets import SETS_AT_MOST, EntityLog, MeasureKey


@dataclass(frozen=True)
class Guarded:
    """An aggregate step's output that waits at the gate, with the guard beside it."""

    protection: Protection
    relation: Sequence[PlanColumn]
    output: Path
    guard: Path
    groups: int


@dataclass(frozen=True)
class Judgement:
    """`withheld` by row of the output, `released` what the entity log learns if the rest leaves."""

    demand: Demand
    withheld: Flags
    released: tuple[tuple[MeasureKey, tuple[Outline, ...]], ...]


@dataclass(frozen=True)
class _Series:
    """The outlines of the candidates for one measure, None where nobody contributed to it, and those before them."""

    key: MeasureKey
    outlines: dict[int, Outline]
    shelf: Shelf


def judge(guarded: Guarded, log: EntityLog, site: str) -> Judgement:
    """Which groups are withheld: too small, dominated, close to what was released before, or the last to hide them.

    Raises `TooManyGroups` where more are left than the log could keep, `StepRefused` and `EngineFailed`.
    """
    demand = demand_of(guarded.protection, guarded.relation, site)
    parts = read_guard(guarded.guard, len(guarded.protection.entities), guarded.groups, demand)
    sets = [part.pairs for part in parts]
    removed = withheld(sets, demand.min_group)
    candidates = np.flatnonzero(~removed)
    if demand.measures and candidates.size > SETS_AT_MOST:
        raise TooManyGroups(found=f"{candidates.size} groups", limit=SETS_AT_MOST)
    series = list(_series(guarded.protection.entities, parts, candidates, demand, log))
    for group in candidates.tolist():
        removed[group] = not _accepted(group, series)
    if removed.any() and not removed.all():
        blocks = blocks_of(first_columns(guarded.output, len(guarded.protection.groups)))
        removed = complemented(removed, sets, demand.min_group, blocks)
    return Judgement(demand, removed, tuple(_released(each, removed) for each in series))


def _series(
    entities: Sequence[Entity], parts: Sequence[GuardedSet], candidates: Ints, demand: Demand, log: EntityLog
) -> Iterator[_Series]:
    for entity, part in zip(entities, parts, strict=True):
        for position, measure in enumerate(demand.measures):
            found = _outlined(part, position, candidates, demand.min_group)
            for key in _keys(entity, measure):
                yield _Series(key, dict(found), _shelf(found, key, demand.min_group, log))


def _outlined(part: GuardedSet, position: int, candidates: Ints, min_group: int) -> dict[int, Outline]:
    """By group. Who contributed no value is not part of it."""
    pairs = part.pairs.pairs_of(candidates)
    given = part.pairs.measures[position].given[pairs]
    owners = np.repeat(np.arange(candidates.size), part.pairs.sizes[candidates])[given]
    starts = np.concatenate(([0], np.cumsum(np.bincount(owners, minlength=candidates.size)))).astype(np.int64)
    pairs = pairs[given]
    found = outlines(starts, part.pairs.entity[pairs], part.marks[position][pairs], min_group)
    return {group: each for group, each in zip(candidates.tolist(), found, strict=True) if each.individuals}


def _keys(entity: Entity, measure: GovernedMeasure) -> Iterator[MeasureKey]:
    for lake, dataset, column in measure.origins:
        yield MeasureKey(lake, dataset, column, f"{entity.lake}.{entity.dataset}")


def _shelf(found: dict[int, Outline], key: MeasureKey, min_group: int, log: EntityLog) -> Shelf:
    if not found:
        return Shelf(min_group)
    sizes = [each.individuals for each in found.values()]
    return Shelf(min_group, log.outlines(key, min(sizes) - min_group + 1, max(sizes) + min_group - 1))


def _accepted(group: int, series: Sequence[_Series]) -> bool:
    """Whether the group may stand beside all that was released; if so, the later ones are held against it, too."""
    held = [(each, each.outlines[group]) for each in series if group in each.outlines]
    known = [each.shelf.same(outline) for each, outline in held]
    if any(same is None and each.shelf.is_close(outline) for (each, outline), same in zip(held, known, strict=True)):
        return False
    for (each, outline), same in zip(held, known, strict=True):
        each.outlines[group] = same or outline
        if same is None:
            each.shelf.add(outline)
    return True


def _released(series: _Series, removed: Flags) -> tuple[MeasureKey, tuple[Outline, ...]]:
    """One outline for groups that are the same answer."""
    kept = {id(each): each for group, each in series.outlines.items() if not removed[group]}
    return series.key, tuple(kept.values())
