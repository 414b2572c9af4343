"""What an aggregate step may do with its relation, and the labels of what it gives once the gate has passed it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from datacanal.domain.errors import PolicyRefused
from datacanal.planning.lineage.leaving import column_name, hint, refusal, rule
from datacanal.planning.lineage.relation import BaseColumn, Relation, Traced
from datacanal.planning.lineage.sources import unreleased
from datacanal.protocol.labels import Label, Origin
from datacanal.protocol.plan import Entity, Measure, Protection

_OF_GOVERNED = frozenset({"count", "sum", "avg"})


@dataclass(frozen=True)
class _Governed:
    """A measure over an aggregate column, with the row that it comes from."""

    origin: Origin
    base: BaseColumn
    label: Label


def protected_labels(relation: Relation, protection: Protection, names: Sequence[str]) -> list[Label]:
    """The labels of the groups, then of the measures, of an aggregate step over a relation with columns of those names.

    Raises `PolicyRefused` unless groups and shape are free, each governed measure is count, sum or avg of a bare
    aggregate column, and an entity of the same row, the one that the column's policy names, stands beside it.
    """
    columns = _by_name(relation, names)
    groups = [_free(columns[name], name, relation) for name in _known(protection.groups, columns)]
    governed = [_bounding(base, relation.shape) for base in relation.bounds]
    measures = [_measured(each, columns, relation, governed) for each in protection.measures]
    entities = [(each, columns[name].base) for each, name in _entities(protection, columns)]
    for measure in governed:
        _check_entity(measure, entities)
    for entity, base in entities:
        _check_needed(entity, base, governed)
    passed = Label().joined(*(measure.label for measure in governed)).released()
    return [label.joined(passed) for label in (*groups, *measures)]


def _by_name(relation: Relation, names: Sequence[str]) -> dict[str, Traced]:
    columns = dict(zip(names, relation.columns, strict=True))
    if len(columns) != len(names):
        raise _malformed("two columns of the relation have one name")
    return columns


def _known(wanted: Sequence[str], columns: Mapping[str, Traced]) -> Sequence[str]:
    """The names, which must be columns of the relation."""
    for name in wanted:
        if name not in columns:
            raise _malformed(f"{name!r} is no column of the relation")
    return wanted


def _free(column: Traced, name: str, relation: Relation) -> Label:
    """The label of a column that must be free, its shape included; the shape may depend on boundaries, too."""
    shape = relation.shape
    if not column.label.is_free or not (shape.is_free or _only_bounds(shape)):
        raise refusal(column.label.joined(shape), name, relation.reasons)
    return column.label.joined(shape if shape.is_free else shape.released())


def _only_bounds(label: Label) -> bool:
    """Whether the rows depend on governed columns by boundaries of their policies only."""
    return label.policy_class == "aggregate" and all(origin.bounded for origin in unreleased(label))


def _bounding(base: BaseColumn, shape: Label) -> _Governed:
    """A column that rows were chosen by: its individuals are counted like those of a measure."""
    for origin in unreleased(shape):
        if origin.bounded and (origin.lake, origin.dataset, origin.column) == (base.lake, base.dataset, base.column):
            return _Governed(origin, base, Label(policy_class="aggregate", owners=shape.owners, origins=[origin]))
    raise _malformed(f"rows do not depend on {base.column}, which is compared with a boundary")


def _measured(measure: Measure, columns: Mapping[str, Traced], relation: Relation, governed: list[_Governed]) -> Label:
    """The label of a measure before what the gate adds; a governed one is noted."""
    shape = _free(Traced(Label()), "the rows", relation)
    if measure.column is None:
        if measure.function != "count_star":
            raise _malformed(f"{measure.function} needs a column")
        return shape
    [name] = _known([measure.column], columns)
    column = columns[name]
    if column.label.is_free:
        return column.label.joined(shape)
    found = _governed(measure, column, relation)
    governed.append(found)
    return shape.joined(found.label.released())


def _governed(measure: Measure, column: Traced, relation: Relation) -> _Governed:
    """The measure of a governed column: a bare aggregate column in count, sum or avg."""
    origins = unreleased(column.label)
    if column.label.policy_class != "aggregate" or column.base is None or len(origins) != 1:
        raise refusal(column.label, str(measure.column), relation.reasons)
    [origin] = origins
    if measure.function not in _OF_GOVERNED:
        used = f"It is used in {measure.function.replace('_', ' ')}."
        raise PolicyRefused(column=column_name(origin), rule=f"{rule(origin)} {used}", hint=hint(origin))
    return _Governed(origin, column.base, column.label)


def _entities(protection: Protection, columns: Mapping[str, Traced]) -> list[tuple[Entity, str]]:
    return [(entity, name) for entity in protection.entities for name in _known([entity.column], columns)]


def _check_entity(measure: _Governed, entities: Sequence[tuple[Entity, BaseColumn | None]]) -> None:
    """Some entity must be the individual that the measure's policy counts, on the row that the measure comes from."""
    if not any(base is not None and _counts(entity, base, measure) for entity, base in entities):
        origin = measure.origin
        raise PolicyRefused(
            column=column_name(origin),
            rule=f"{rule(origin)} The groups cannot be counted: {origin.entity} is not read from the same row.",
            hint=f"Aggregate the dataset {origin.lake}.{origin.dataset} itself, or joins of it, in one SELECT.",
        )


def _check_needed(entity: Entity, base: BaseColumn | None, governed: Sequence[_Governed]) -> None:
    """An entity that no measure asks for would write who is in which group for nothing."""
    if base is None or not any(_counts(entity, base, measure) for measure in governed):
        raise _malformed(f"the entity {entity.column!r} is not what a measure's policy counts")


def _counts(entity: Entity, base: BaseColumn, measure: _Governed) -> bool:
    origin, own = measure.origin, measure.base
    return (
        (entity.lake, entity.dataset) == (base.lake, base.dataset) == (origin.lake, origin.dataset)
        and base.column == origin.entity
        and (base.occurrence, base.row) == (own.occurrence, own.row)
        and (own.lake, own.dataset, own.column) == (origin.lake, origin.dataset, origin.column)
    )


def _malformed(reason: str) -> PolicyRefused:
    return PolicyRefused(
        column="an aggregate step",
        rule=f"it is not as this site expects it: {reason}.",
        hint="This is a fault of the control plane: give the operator the job id.",
    )
