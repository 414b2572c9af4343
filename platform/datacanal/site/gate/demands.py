"""What the owners of an aggregate step's columns demand of its groups."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from datacanal.protocol.labels import Label, Origin
from datacanal.protocol.plan import PlanColumn, Protection
from datacanal.site.step_shape import refused

_ADDING = frozenset({"sum", "avg"})
_ALLOWED = _ADDING | {"count"}


@dataclass(frozen=True)
class GovernedMeasure:
    """A governed column that the step measures. `index` is that of the measure whose guard columns speak for it.

    `origins` are the columns of datasets that it may be; `max_share` is None where nothing is added up.
    """

    index: int
    origins: tuple[tuple[str, str, str], ...]
    max_share: float | None


@dataclass(frozen=True)
class Demand:
    """The strictest of all. `datasets` are those whose aggregate queries the step is one of."""

    min_group: int
    measures: tuple[GovernedMeasure, ...]
    datasets: tuple[tuple[str, str], ...]


def demand_of(protection: Protection, relation: Sequence[PlanColumn], site: str) -> Demand:
    """What the labels of the relation demand. Raises `StepRefused` for a measure that no label allows."""
    origins = [origin for column in relation for origin in _open(column.label)]
    labels = {column.name: column.label for column in relation}
    return Demand(
        min_group=max((origin.min_group or 1 for origin in origins), default=1),
        measures=tuple(_measures(protection, labels, site)),
        datasets=tuple(sorted({(origin.lake, origin.dataset) for origin in origins})),
    )


def _open(label: Label) -> list[Origin]:
    """What a value may be seen of only in groups that no gate has looked at yet."""
    return [origin for origin in label.origins if origin.policy_class == "aggregate" and not origin.released]


def _measures(protection: Protection, labels: dict[str, Label], site: str) -> Iterator[GovernedMeasure]:
    for column in dict.fromkeys(measure.column for measure in protection.measures if measure.column is not None):
        origins = _open(labels[column])
        if not origins:
            continue
        found = [(index, each.function) for index, each in enumerate(protection.measures) if each.column == column]
        if not {function for _, function in found} <= _ALLOWED:
            raise refused(site, "a governed column may only be counted, added up and averaged")
        adding = [index for index, function in found if function in _ADDING]
        shares = [origin.max_share for origin in origins if origin.max_share is not None]
        yield GovernedMeasure(
            index=adding[0] if adding else found[0][0],
            origins=tuple(sorted({(each.lake, each.dataset, each.column) for each in origins})),
            max_share=min(shares) if adding and shares else None,
        )
