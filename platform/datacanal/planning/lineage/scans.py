"""The leaves of a plan: tables, table functions, constants, and references to common table expressions."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from datacanal.planning.binding import BASE_SCHEMA, BASE_TABLE
from datacanal.planning.functions import is_allowed
from datacanal.planning.lineage.expressions import evaluated
from datacanal.planning.lineage.flow import Column, Flow, Json, NotUnderstood, merged
from datacanal.planning.lineage.relation import BaseColumn, of_another_row
from datacanal.planning.lineage.walk import SCAN, Walk

_INTEGER: Json = {"id": "INTEGER"}


def get(walk: Walk, node: Json, children: list[Flow]) -> Flow:
    """A table of the statement, or a table function. Raises `NotUnderstood` for anything else that can be read."""
    if any((node.get("table_filters") or {}).values()):
        raise NotUnderstood("a filter inside a scan")
    name = str(node["qname"]["path"][-1])
    if name == SCAN and not children:
        return _table(walk, node)
    if is_allowed(name, table=True):
        return _function(walk, node, children)
    raise NotUnderstood(f"table function {name}")


def _table(walk: Walk, node: Json) -> Flow:
    data = node["function_data"]
    occurrence = data["catalog"]
    table = walk.sources.tables.get(occurrence)
    if table is None or (data["schema"], data["table"]) != (BASE_SCHEMA, BASE_TABLE):
        raise NotUnderstood("a table that is no input")
    if len(node["returned_types"]) != len(table.columns):
        raise NotUnderstood("a table of another width")
    columns = []
    for position in _positions(node):
        base = BaseColumn(occurrence, table.lake, table.dataset, table.columns[position].name, (node["table_index"],))
        columns.append(Column(walk.sources.column(occurrence, position), node["returned_types"][position], base))
    rows = walk.sources.rows(occurrence)
    return Flow(tuple(columns), rows, walk.sources.table(occurrence), node["table_index"])


def _function(walk: Walk, node: Json, children: list[Flow]) -> Flow:
    """Rows out of arguments: constants, or the columns of an input, some of which come out behind it as they were."""
    given = node.get("projected_input") or []
    source = walk.settled(children[0]) if children else Flow((), 0, 0)
    kept = [source.at(position) for position in given]
    mask = merged(column for position, column in enumerate(source.columns) if position not in given)
    walk.note(mask, f"in {node['qname']['path'][-1]}(…)")
    made = [Column(mask, node["returned_types"][position]) for position in _positions(node)]
    return Flow((*made, *kept), source.shape | mask, source.below, node["table_index"])


def _positions(node: Json) -> list[int]:
    """The positions of the columns that come out. Raises `NotUnderstood` for one that is not there (a row id, say)."""
    found = [index["index"] for index in node["column_indexes"]]
    if chosen := node.get("projection_ids"):
        found = [found[number] for number in chosen]
    if any(index.get("child_indexes") for index in node["column_indexes"]):
        raise NotUnderstood("a part of a column")
    if not all(isinstance(position, int) and 0 <= position < len(node["returned_types"]) for position in found):
        raise NotUnderstood("no such column")
    return found


def cte_reference(walk: Walk, node: Json, _children: list[Flow]) -> Flow:
    """The expression's columns; each reference reads rows of its own."""
    flow = walk.ctes[node["cte_index"]]
    if [column.kind for column in flow.columns] != node["chunk_types"]:
        raise NotUnderstood("a common table expression of other types")
    columns = tuple(replace(column, base=of_another_row(column.base, node["table_index"])) for column in flow.columns)
    return flow.with_columns(columns, node["table_index"])


def expression_get(walk: Walk, node: Json, children: list[Flow]) -> Flow:
    """VALUES: a row for each list of expressions."""
    source = children[0] if children else Flow((), 0, 0)
    kinds: list[Json] = node["expr_types"]
    masks, failing = [0] * len(kinds), 0
    for row in node["expressions"]:
        for position, (expression, _kind) in enumerate(zip(row, kinds, strict=True)):
            column, mask = evaluated(walk, expression, source)
            masks[position] |= column.mask
            failing |= mask
    columns = (Column(mask, kind) for mask, kind in zip(masks, kinds, strict=True))
    return source.with_columns(columns, node["table_index"]).shaped(failing)


def constants(_walk: Walk, node: Json, _children: list[Flow]) -> Flow:
    """Rows that stand in the plan itself."""
    kinds: list[Any] = node["chunk_types"]
    chosen = node.get("column_ids") or range(len(kinds))
    return Flow(tuple(Column(0, kinds[position]) for position in chosen), 0, 0, node["table_index"])


def dummy_scan(_walk: Walk, node: Json, _children: list[Flow]) -> Flow:
    """One row, one column."""
    return Flow((Column(0, _INTEGER),), 0, 0, node["table_index"])


def empty_result(_walk: Walk, node: Json, _children: list[Flow]) -> Flow:
    """No rows, whatever the data are."""
    return Flow(tuple(Column(0, kind) for kind in node["return_types"]), 0, 0)
