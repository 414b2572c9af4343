"""The walk over a bound plan, from its leaves to the statement's result."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from datacanal.planning.lineage.flow import Column, Flow, Json, NotUnderstood, merged, opaque
from datacanal.planning.lineage.operators import RULES
from datacanal.planning.lineage.relation import Relation, Traced, TracedTable
from datacanal.planning.lineage.sources import Mask
from datacanal.planning.lineage.walk import Walk

_COMMON = frozenset({"type", "children"})
_HARMLESS: tuple[Any, ...] = (None, False, [], {}, "")
_MALFORMED = (NotUnderstood, LookupError, TypeError, ValueError, AttributeError)
"""What a rule raises over a plan that is not as it expects."""


def trace(bound: dict[str, Any] | None, tables: Mapping[str, TracedTable], width: int) -> Relation:
    """Label the columns of a bound statement that gives `width` columns, over the tables by occurrence.

    Never fails: what is not understood takes the strictest label of everything below it, and a statement without a
    plan that of all tables.
    """
    walk = Walk(tables)
    flow = _flow(walk, bound)
    if flow.opaque or len(flow.columns) != width:
        everything = walk.sources.everything() if not flow.opaque else flow.rows
        walk.note(everything, "below a construct that cannot be followed")
        flow = Flow(tuple(Column(everything, {}) for _ in range(width)), everything, everything)
    return _relation(walk, flow)


def _flow(walk: Walk, bound: dict[str, Any] | None) -> Flow:
    try:
        return _operator(walk, bound) if bound is not None else opaque(walk.sources.everything())
    except RecursionError:
        return opaque(walk.sources.everything())


def _operator(walk: Walk, node: Json) -> Flow:
    """An operator's output; opaque where it, or what it is made of, is not understood."""
    try:
        walk.visit()
        match node["type"]:
            case "LOGICAL_MATERIALIZED_CTE":
                return _materialized(walk, node)
            case "LOGICAL_RECURSIVE_CTE":
                return _recursive(walk, node)
        rule, known = RULES[node["type"]]
        _check_fields(node, known)
        children = [_operator(walk, child) for child in node.get("children") or []]
        if any(child.opaque for child in children):
            return opaque(_together(children))
        return rule(walk, node, children)
    except _MALFORMED:
        return opaque(walk.below(node))


def _together(flows: Iterable[Flow]) -> Mask:
    mask = 0
    for flow in flows:
        mask |= flow.below
    return mask


def _materialized(walk: Walk, node: Json) -> Flow:
    """WITH: the first input is the expression, the second what uses it. It may run, and fail, without being used."""
    _check_fields(node, "table_index column_count ctename materialize")
    expression, rest = node["children"]
    made = walk.ctes[node["table_index"]] = _operator(walk, expression)
    flow = _operator(walk, rest)
    flow = replace(flow, below=flow.below | made.below)
    return opaque(flow.below) if flow.opaque else flow.shaped(made.rows & walk.sources.governed)


def _recursive(walk: Walk, node: Json) -> Flow:
    """WITH RECURSIVE: the second input is walked until what flows around no longer changes."""
    _check_fields(node, "table_index column_count union_all ctename internal_types ref_recurring")
    first, again = node["children"]
    flow = _seeded(walk, node, _operator(walk, first))
    while True:
        walk.ctes[node["table_index"]] = flow
        grown = _grown(walk, node, flow, _operator(walk, again))
        if grown == flow:
            return flow
        flow = grown


def _seeded(walk: Walk, node: Json, start: Flow) -> Flow:
    kinds = node["internal_types"]
    if start.opaque or not len(start.columns) == len(kinds) == node["column_count"]:
        raise NotUnderstood("a recursion of another width")
    columns = [Column(column.mask, kind) for column, kind in zip(start.columns, kinds, strict=True)]
    return _compared(walk, node, walk.settled(start).with_columns(columns, node["table_index"]))


def _grown(walk: Walk, node: Json, flow: Flow, more: Flow) -> Flow:
    if more.opaque:
        raise NotUnderstood("a recursion that is not understood")
    columns = [Column(old.mask | new.mask, old.kind) for old, new in zip(flow.columns, more.columns, strict=True)]
    rows = Flow((), flow.rows | walk.counted(more), flow.below | more.below)
    return _compared(walk, node, rows.with_columns(columns, node["table_index"]))


def _compared(walk: Walk, node: Json, flow: Flow) -> Flow:
    """Without ALL, whole rows are compared."""
    return flow if node.get("union_all") else flow.shaped(walk.note(merged(flow.columns), "in a recursion"))


def _check_fields(node: Json, known: str) -> None:
    """Raise `NotUnderstood` for a field that holds something and is not known."""
    for field in node.keys() - _COMMON - set(known.split()):
        if node[field] not in _HARMLESS:
            raise NotUnderstood(f"{node['type']}.{field}")


def _relation(walk: Walk, flow: Flow) -> Relation:
    columns = []
    for column in flow.columns:
        label = walk.sources.label(column.mask)
        columns.append(Traced(label if column.base else label.derived(), column.base))
    return Relation(tuple(columns), walk.sources.label(walk.counted(flow)).derived(), walk.reasons, tuple(walk.bounds))
