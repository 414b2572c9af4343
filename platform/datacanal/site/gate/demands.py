"""What the owners of an aggregate step's columns demand of its groups."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
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
        measures=(*_measures(protection, labels, site), *_chosen(protection, labels, origins)),
        datasets=tuple(sorted({(origin.lake, origin.dataset) for origin in origins})),
    )


def _own(label: Label) -> list[Origin]:
    """The governed column that a measure's values are, if any; what only chose the rows is not."""
    return [origin for origin in _open(label) if not origin.bounded]


def _open(label: Label) -> list[Origin]:
    """What a value may be seen of only in groups that no gate has looked at yet."""
    return [origin for origin in label.origins if origin.policy_class == "aggregate" and not origin.released]


def _measures(protection: Protection, labels: dict[str, Label], site: str) -> Iterator[GovernedMeasure]:
    for column in dict.fromkeys(measure.column for measure in protection.measures if measure.column is not None):
        origins = _own(labels[column])
        if not origins:
            continue
        found = [(index, each.function) for index, each in enumerate(protection.measures) if each.column == column]
        if not {function for _, function in found} <= _ALLOWED:
            raise refused(site, "a governed column may only be counted, added up and averaged")
        adding = [index for index, function in found if function in _ADDING]
        shares = [origin.max_share for origin in origins if origin.max_share is not None]
        yield GovernedMeasure(
            index=adding[0] if adding else found[0][0],
            origins=_columns(origins),
            max_share=min(shares) if adding and shares else None,
        )


def _chosen(protection: Protection, labels: dict[str, Label], origins: Sequence[Origin]) -> Iterator[GovernedMeasure]:
    """Measures of free values over rows that a governed column chose: two of them may tell on which side one lies."""
    choosing = _columns(origin for origin in origins if origin.bounded)
    for index, each in enumerate(protection.measures):
        if choosing and (each.column is None or not _own(labels[each.column])):
            yield GovernedMeasure(index=index, origins=choosing, max_share=None)


def _columns(origins: Iterable[Origin]) -> tuple[tuple[str, str, str], ...]:
    return tuple(sorted({(each.lake, each.dataset, each.column) for each in origins}))
