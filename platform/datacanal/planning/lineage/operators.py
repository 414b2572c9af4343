"""The rules: for each operator which columns come out of it, and what decides about its rows.

A rule gets the operator and its inputs. `KNOWN` lists the fields that may hold something; a field that is not listed,
and whatever raises here, makes the operator not understood, and then everything below it may be anywhere in its output.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from datacanal.planning.lineage.conditions import conjuncts, noted_uses
from datacanal.planning.lineage.expressions import bare, evaluated
from datacanal.planning.lineage.flow import BIGINT, Column, Flow, Json, NotUnderstood, beside, merged
from datacanal.planning.lineage.joins import any_join, asof_join, comparison_join, cross_product, positional_join
from datacanal.planning.lineage.relation import of_another_row
from datacanal.planning.lineage.scans import constants, cte_reference, dummy_scan, empty_result, expression_get, get
from datacanal.planning.lineage.sources import Mask
from datacanal.planning.lineage.walk import Walk

Rule = Callable[[Walk, Json, list[Flow]], Flow]


def projection(walk: Walk, node: Json, children: list[Flow]) -> Flow:
    """One column for each expression."""
    [flow] = children
    columns, mask = _evaluated(walk, node["expressions"], flow)
    return flow.with_columns(columns, node["table_index"]).shaped(mask)


def selection(walk: Walk, node: Json, children: list[Flow]) -> Flow:
    """WHERE, HAVING, QUALIFY, and conditions of joins that look at one side only."""
    [flow] = children
    mask = conjuncts(walk, node["expressions"], flow, "in a condition (WHERE, HAVING, QUALIFY or ON)")
    return flow.shaped(mask).mapped(node.get("projection_map"))


def aggregate(walk: Walk, node: Json, children: list[Flow]) -> Flow:
    """Groups, then aggregates, then GROUPING(…) functions. Which groups there are depends on what is grouped by."""
    if _only_differs(node):
        return _different(walk, node, children)
    [flow] = map(walk.settled, children)
    groups, failing = _evaluated(walk, node.get("groups") or [], flow)
    values, mask = _evaluated(walk, node.get("expressions") or [], flow)
    shape = walk.note(merged(groups), "in GROUP BY") | mask | failing
    grouping = [Column(0, BIGINT) for _ in node.get("grouping_functions") or []]
    return flow.shaped(shape).with_columns([*(group.derived() for group in groups), *values, *grouping])


def _only_differs(node: Json) -> bool:
    """Whether it is DISTINCT in another spelling: groups and nothing else."""
    sets = node.get("grouping_sets") or []
    grouped = node.get("groups") and sets in ([], [list(range(len(node["groups"])))])
    return bool(grouped) and not node.get("expressions") and not node.get("grouping_functions")


def _different(walk: Walk, node: Json, children: list[Flow]) -> Flow:
    """A group is its column still, on a row of its own. As a set the rows are what they were."""
    [flow] = children
    groups, failing = _evaluated(walk, node["groups"], flow)
    columns = [replace(group, base=of_another_row(group.base, node["group_index"])) for group in groups]
    return flow.shaped(failing).repeated(merged(groups)).with_columns(columns)


def window(walk: Walk, node: Json, children: list[Flow]) -> Flow:
    """The input's columns, then one for each window expression."""
    [flow] = map(walk.settled, children)
    columns, mask = _evaluated(walk, node["expressions"], flow)
    return flow.with_columns([*flow.columns, *columns]).shaped(mask)


def unnest(walk: Walk, node: Json, children: list[Flow]) -> Flow:
    """The input's columns, then the unnested ones; how long the lists are decides about rows."""
    [flow] = children
    columns, _ = _evaluated(walk, node["expressions"], flow)
    shape = walk.note(merged(columns), "in unnest(…)")
    return flow.with_columns([*flow.columns, *(column.derived() for column in columns)]).shaped(shape)


def order(walk: Walk, node: Json, children: list[Flow]) -> Flow:
    """The order of rows shows what they are ordered by."""
    [flow] = children
    mask = noted_uses(walk, node["orders"], flow, "in ORDER BY")
    return flow.shaped(mask).mapped(node.get("projections"))


def limit(walk: Walk, node: Json, children: list[Flow]) -> Flow:
    """Limit and offset may be expressions over the input."""
    [flow] = map(walk.settled, children)
    return flow.shaped(noted_uses(walk, [node.get("limit_val"), node.get("offset_val")], flow, "in LIMIT or OFFSET"))


def distinct(walk: Walk, node: Json, children: list[Flow]) -> Flow:
    """Which rows are left depends on what must differ, and on the order in which the first is found."""
    targets = node["distinct_targets"]
    if node["distinct_type"] == "DISTINCT" and _names_every_column(targets, children[0]):
        return children[0].repeated(merged(children[0].columns))
    [flow] = map(walk.settled, children)
    return flow.shaped(noted_uses(walk, [targets, node.get("order_by")], flow, "in DISTINCT"))


def _names_every_column(targets: list[Json], flow: Flow) -> bool:
    named = {target.get("index") for target in targets if bare(target, flow) is not None}
    return len(targets) == len(named) == len(flow.columns)


def sample(walk: Walk, _node: Json, children: list[Flow]) -> Flow:
    """Chance decides, not values."""
    [flow] = children
    return walk.settled(flow)


def set_operation(walk: Walk, node: Json, children: list[Flow]) -> Flow:
    """Columns by position. All but UNION ALL compare whole rows."""
    columns = _united(children, node["column_count"])
    rows = Flow((), 0, 0)
    for child in map(walk.settled, children):
        rows = beside(rows, child)
    if not (node["type"] == "LOGICAL_UNION" and node.get("setop_all")):
        rows = rows.shaped(walk.note(merged(columns), "in a set operation"))
    return rows.with_columns(columns)


def _evaluated(walk: Walk, expressions: list[Json], flow: Flow) -> tuple[list[Column], Mask]:
    columns, mask = [], 0
    for expression in expressions:
        column, failing = evaluated(walk, expression, flow)
        columns.append(column)
        mask |= failing
    return columns, mask


def _united(children: list[Flow], width: Any) -> list[Column]:
    """Each column of any of the inputs; the first one's types. Raises `NotUnderstood` for different widths."""
    if any(len(child.columns) != width for child in children):
        raise NotUnderstood("inputs of different widths")
    return [Column(merged(columns), columns[0].kind) for columns in zip(*(c.columns for c in children), strict=True)]


RULES: dict[str, tuple[Rule, str]] = {
    "LOGICAL_PROJECTION": (projection, "table_index expressions"),
    "LOGICAL_FILTER": (selection, "expressions projection_map"),
    "LOGICAL_AGGREGATE_AND_GROUP_BY": (
        aggregate,
        "expressions group_index aggregate_index groupings_index groups grouping_sets grouping_functions "
        "distinct_validity",
    ),
    "LOGICAL_WINDOW": (window, "window_index expressions"),
    "LOGICAL_UNNEST": (unnest, "unnest_index expressions"),
    "LOGICAL_LIMIT": (limit, "limit_val offset_val unpruned_offset"),
    "LOGICAL_ORDER_BY": (order, "orders projections"),
    "LOGICAL_TOP_N": (order, "orders limit offset"),
    "LOGICAL_DISTINCT": (distinct, "distinct_type distinct_targets order_by"),
    "LOGICAL_SAMPLE": (sample, "sample_options"),
    "LOGICAL_GET": (
        get,
        "table_index returned_types names projection_ids table_filters arguments qname has_serialize function_data "
        "parameters named_parameters input_table_types input_table_names projected_input column_indexes extra_info "
        "ordinality_idx source_ordinality table_filters_by_projection",
    ),
    "LOGICAL_CHUNK_GET": (constants, "table_index chunk_types collection column_ids"),
    "LOGICAL_EXPRESSION_GET": (expression_get, "table_index expr_types expressions"),
    "LOGICAL_DUMMY_SCAN": (dummy_scan, "table_index"),
    "LOGICAL_EMPTY_RESULT": (empty_result, "return_types bindings"),
    "LOGICAL_CTE_REF": (cte_reference, "table_index cte_index chunk_types bound_columns is_recurring"),
    "LOGICAL_COMPARISON_JOIN": (
        comparison_join,
        "join_type mark_index left_projection_map right_projection_map conditions mark_types predicate",
    ),
    "LOGICAL_ASOF_JOIN": (
        asof_join,
        "join_type mark_index left_projection_map right_projection_map conditions mark_types predicate",
    ),
    "LOGICAL_ANY_JOIN": (
        any_join,
        "join_type mark_index left_projection_map right_projection_map condition",
    ),
    "LOGICAL_CROSS_PRODUCT": (cross_product, ""),
    "LOGICAL_POSITIONAL_JOIN": (positional_join, ""),
    "LOGICAL_UNION": (set_operation, "table_index column_count setop_all allow_out_of_order"),
    "LOGICAL_EXCEPT": (set_operation, "table_index column_count setop_all allow_out_of_order"),
    "LOGICAL_INTERSECT": (set_operation, "table_index column_count setop_all allow_out_of_order"),
}
"""Operator to its rule and to the fields that the rule knows of. The operators of WITH are walked by `tracing`."""
