"""The gate's judgement of an aggregate: which groups are withheld, and what the entity log learns of the others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from datacanal.domain.errors import TooManyGroups
from datacanal.protocol.plan import PlanColumn, Protection
from datacanal.site.gate.blocks import blocks_of
from datacanal.site.gate.demands import Demand, demand_of
from datacanal.site.gate.guard import read_guard
from datacanal.site.gate.outlines import Outline
from datacanal.site.gate.rewriting import first_columns
from datacanal.site.gate.series import Series, series_of
from datacanal.site.gate.suppression import EntitySet, Flags, Ints, complemented, members_of, withheld
from datacanal.site.store.entity_sets import SETS_AT_MOST, EntityLog, MeasureKey

_ROUNDS_AT_MOST = 16
"""How often a group more is withheld so that no sum is close to an earlier release; then all of its block are."""


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


def judge(guarded: Guarded, log: EntityLog, site: str) -> Judgement:
    """Which groups are withheld: too small, dominated, close to what was released before, or needed to hide those.

    Raises `TooManyGroups` where more are left than the log could keep, `StepRefused` and `EngineFailed`.
    """
    demand = demand_of(guarded.protection, guarded.relation, site)
    parts = read_guard(guarded.guard, len(guarded.protection.entities), guarded.groups, demand)
    sets = [part.pairs for part in parts]
    removed = withheld(sets, demand.min_group)
    candidates = np.flatnonzero(~removed)
    if demand.measures and candidates.size > SETS_AT_MOST:
        raise TooManyGroups(found=f"{candidates.size} groups", limit=SETS_AT_MOST)
    series = series_of(guarded.protection.entities, parts, candidates, demand, log)
    for group in candidates.tolist():
        removed[group] = not _accepted(group, series)
    blocks: list[Ints] = []
    if not removed.all():
        blocks = blocks_of(first_columns(guarded.output, len(guarded.protection.groups)))
        removed = _hidden(removed, sets, blocks, series, demand.min_group)
    sums = [summed for _, summed in _implied(removed, blocks)]
    return Judgement(demand, removed, tuple((each.key, each.released(removed, sums)) for each in series))


def _accepted(group: int, series: Sequence[Series]) -> bool:
    """Whether the group may stand beside all that was released; if so, the later ones are held against it, too."""
    if not all(each.may_stand(group) for each in series):
        return False
    for each in series:
        each.take(group)
    return True


def _hidden(
    removed: Flags, sets: Sequence[EntitySet], blocks: Sequence[Ints], series: Sequence[Series], min_group: int
) -> Flags:
    """The removed groups and those that must go with them."""
    rounds = 0
    while True:
        removed = complemented(removed, sets, min_group, blocks)
        close = next((shown for shown, sums in _implied(removed, blocks) if not _may_be_known(sums, series)), None)
        if close is None:
            return removed
        rounds += 1
        smallest = close[[np.argmin(sets[0].sizes[close])]]
        removed[smallest if rounds < _ROUNDS_AT_MOST else close] = True


def _may_be_known(groups: Ints, series: Sequence[Series]) -> bool:
    return all(each.may_be_known(groups) for each in series)


def _implied(removed: Flags, blocks: Sequence[Ints]) -> Iterator[tuple[Ints, Ints]]:
    """Groups whose sum anybody can work out: those shown in a block and, by the block's own sum, those hidden in it.

    Beside each stand the shown ones of its block. What one group alone says is no sum.
    """
    for block in blocks:
        for members in members_of(block):
            hidden, shown = members[removed[members]], members[~removed[members]]
            if shown.size > 1:
                yield shown, shown
            if shown.size and hidden.size:
                yield shown, hidden
