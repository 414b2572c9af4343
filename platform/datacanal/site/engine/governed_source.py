"""A dataset behind its owner's policy: raw values masked and hidden rows gone before anything of a user's sees them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datacanal.planning.binding import BoundTable, NamedType
from datacanal.planning.bound_plan import bound_plan
from datacanal.planning.early import may_raise_early
from datacanal.planning.quoting import identifier
from datacanal.planning.stand_ins import stand_ins
from datacanal.site.engine.masks import masked
from datacanal.site.engine.parquet_source import relation_of
from datacanal.site.engine.specification import ParquetSource, Task, TaskInput, ViewRules

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_BARRIER = "LIMIT 9223372036854775807"
"""No row is dropped, and DuckDB moves no condition through it."""


def governed_relation(given: TaskInput, source: ParquetSource, *, barrier: bool) -> str:
    """The SELECT of the dataset's view. With `barrier` nothing of a statement is asked below the row filter."""
    rules = given.rules or ViewRules()
    raw = relation_of(_raw_columns(given, rules), source)
    seen = f"SELECT {_seen(given, rules)} FROM ({raw}) AS {identifier(given.dataset)}"
    if rules.rows is None:
        return seen
    return f"{seen} WHERE ({rules.rows})" + (f" {_BARRIER}" if barrier else "")


def needs_barrier(connection: DuckDBPyConnection, task: Task) -> bool:
    """Whether the statement could raise over a row that a row filter hides: the error would tell of the row.

    The barrier costs skipping row groups by the statement's own conditions, so what cannot raise goes without. Ask
    before the inputs are attached: their names must be free. See docs/decisions/0005.
    """
    if not any(given.rules is not None and given.rules.rows is not None for given in task.inputs):
        return False
    tables = [
        BoundTable(
            occurrence=given.occurrence,
            lake=given.lake,
            dataset=given.dataset,
            columns=[NamedType(name=column.name, type=column.type) for column in given.columns],
        )
        for given in task.inputs
    ]
    with stand_ins(connection, tables, "c"):
        return may_raise_early(bound_plan(connection, task.sql, task.params))


def _raw_columns(given: TaskInput, rules: ViewRules) -> list[NamedType]:
    types = {name: column.raw_type for name, column in rules.masks.items()}
    return [NamedType(name=column.name, type=types.get(column.name, column.type)) for column in given.columns]


def _seen(given: TaskInput, rules: ViewRules) -> str:
    parts = []
    for column in given.columns:
        name = identifier(column.name)
        rule = rules.masks.get(column.name)
        value = name if rule is None else masked(name, rule.mask, rule.raw_type, rules.mask_key)
        parts.append(f"{value} AS {name}")
    return ", ".join(parts)
