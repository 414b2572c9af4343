"""The guard of an aggregate step, read back: who contributed what to which group."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from datacanal.domain.errors import EngineFailed
from datacanal.site.gate.demands import Demand
from datacanal.site.gate.suppression import Contribution, EntitySet, Hashes, Ints


@dataclass(frozen=True)
class GuardedSet:
    """One entity set's part of the guard, and the marks of what was contributed to each governed measure, by pair."""

    pairs: EntitySet
    marks: tuple[Hashes, ...]


def read_guard(file: Path, entity_sets: int, groups: int, demand: Demand) -> list[GuardedSet]:
    """The guard of that many groups. Takes about 100 bytes of memory for each pair.

    Raises `EngineFailed` where the file is no guard of these groups.
    """
    with _opened(file) as table:
        group: Ints = table["group"].to_numpy()
        if group.size and not 0 <= group.min() <= group.max() < groups:
            raise EngineFailed(reason="the guard of an aggregate step names other groups")
        owner = table["entity_set"].to_numpy()
        return [_part(table, group, np.flatnonzero(owner == index), groups, demand) for index in range(entity_sets)]


@contextlib.contextmanager
def _opened(file: Path) -> Iterator[Any]:
    """The table, mapped: a column is read when it is asked for."""
    try:
        with pa.memory_map(str(file)) as source, pa.ipc.open_stream(source) as stream:
            yield stream.read_all()
    except (pa.ArrowInvalid, OSError, KeyError) as error:
        raise EngineFailed(reason="the guard of an aggregate step cannot be read") from error


def _part(table: Any, group: Ints, chosen: Ints, groups: int, demand: Demand) -> GuardedSet:
    """The pairs at the chosen places, sorted by group."""
    order = chosen[np.argsort(group[chosen], kind="stable")]
    starts = np.concatenate(([0], np.cumsum(np.bincount(group[chosen], minlength=groups)))).astype(np.int64)
    contributions = tuple(
        Contribution(
            given=_filled(table, f"count_{each.index}")[order] > 0,
            shares=None if each.max_share is None else _filled(table, f"share_{each.index}")[order],
            max_share=each.max_share or 1.0,
        )
        for each in demand.measures
    )
    marks = tuple(_filled(table, f"mark_{each.index}")[order] for each in demand.measures)
    known = pc.is_valid(table["entity"]).to_numpy()[order]
    return GuardedSet(EntitySet(starts, _filled(table, "entity")[order], known, contributions), marks)


def _filled(table: Any, name: str) -> Any:
    """The column with 0 for NULL: nothing contributed, nobody's."""
    return pc.fill_null(table[name], 0).to_numpy()
