"""A kernel works out for itself what a task's output depends on, before it opens any input (docs/decisions/0004)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from datacanal.domain.errors import LabelsDiffer
from datacanal.planning.binding import BoundTable, NamedType
from datacanal.planning.bound_plan import bound_plan
from datacanal.planning.lineage import Relation, TracedTable, check_leaving, output_labels, protected_labels, trace
from datacanal.planning.stand_ins import stand_ins
from datacanal.protocol.labels import Label
from datacanal.protocol.plan import PlanColumn
from datacanal.site.engine.specification import Task, TaskInput

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


def check_labels(connection: DuckDBPyConnection, task: Task) -> None:
    """Refuse a gated task whose labels are not those that follow from its inputs, or that may not leave as it should.

    Call it after the gate and before the inputs are attached: it needs their names free, and leaves them so. Raises
    `LabelsDiffer` or `PolicyRefused`.
    """
    if not task.gated:
        return
    relation = _traced(connection, task)
    found = output_labels(relation)
    if task.protection is not None:
        _compare(task, task.relation, found)
        found = protected_labels(relation, task.protection, [column.name for column in task.relation])
    _compare(task, task.columns, found)
    _check_use(task, relation, found)


def _check_use(task: Task, relation: Relation, labels: Sequence[Label]) -> None:
    """Whether the output may be used as it is going to be. Raises `PolicyRefused`.

    What stays at the site may hold anything but must have free rows: whoever reads it knows labels of its columns only,
    and could count the rows without reading one.
    """
    if task.leaves_as == "step":
        check_leaving([relation.shape], ["its rows"], relation.reasons, inside_transfer=False)
        return
    names = [column.name for column in task.columns]
    check_leaving(labels, names, relation.reasons, inside_transfer=task.leaves_as == "transfer")


def _traced(connection: DuckDBPyConnection, task: Task) -> Relation:
    with stand_ins(connection, [_stand_in(given) for given in task.inputs], "c"):
        bound = bound_plan(connection, task.sql, task.params)
    tables = {given.occurrence: TracedTable(given.lake, given.dataset, given.columns) for given in task.inputs}
    return trace(bound, tables, len(task.relation if task.protection else task.columns))


def _stand_in(given: TaskInput) -> BoundTable:
    columns = [NamedType(name=column.name, type=column.type) for column in given.columns]
    return BoundTable(occurrence=given.occurrence, lake=given.lake, dataset=given.dataset, columns=columns)


def _compare(task: Task, declared: Sequence[PlanColumn], found: Sequence[Label]) -> None:
    """Raise `LabelsDiffer` naming the columns, never what was found: the sender of a false label may be listening."""
    if differing := ", ".join(_differing(declared, found)):
        raise LabelsDiffer(site=task.site, columns=differing, reason="they do not follow from the inputs' labels.")


def _differing(declared: Sequence[PlanColumn], found: Sequence[Label]) -> Iterator[str]:
    if len(declared) != len(found):
        yield f"{len(declared)} columns, where there are {len(found)}"
        return
    yield from (repr(column.name) for column, label in zip(declared, found, strict=True) if column.label != label)
