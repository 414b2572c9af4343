"""A plan that is not as the rules expect makes everything below the unexpected place possible, and raises never."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
from tests.unit.planning.lineage.tables import COLUMNS, EVERYTHING, Tables, dependencies, operators
from tests.unit.planning.lineage.tables import tables as traced

from datacanal.planning.lineage import Relation, TracedTable, trace

Json = dict[str, Any]
_T = "t.a t.b t.c t.l"
_FAR = 2**64 - 1

JOIN = "SELECT t.a, d FROM @t AS t JOIN @u AS u ON t.b = u.a ORDER BY d"
SCAN = "SELECT a FROM @t"


def changed(tables: Tables, sql: str, kind: str, change: Callable[[Json], Any]) -> Relation:
    """The statement traced after the first operator of that kind was changed."""
    binding = tables.bind(sql)
    plan = copy.deepcopy(binding.bound)
    change(next(node for node in operators(plan) if node["type"] == f"LOGICAL_{kind}"))
    return trace(plan, traced(), len(binding.columns))


def set_to(key: str, value: Any) -> Callable[[Json], Any]:
    return lambda node: node.update({key: value})


def first(node: Json, value: Json) -> None:
    node["expressions"][0] = value


def reference(index: Any, kind: str = "INTEGER") -> Json:
    return {"expression_class": "BOUND_REF", "type": "BOUND_REF", "return_type": {"id": kind}, "index": index}


CHANGES: list[tuple[str, str, Callable[[Json], Any]]] = [
    # operators and their fields
    (SCAN, "PROJECTION", set_to("type", "LOGICAL_NOVELTY")),
    (SCAN, "PROJECTION", set_to("type", None)),
    (SCAN, "PROJECTION", set_to("novelty", [1])),
    (SCAN, "PROJECTION", lambda node: node.pop("expressions")),
    (SCAN, "PROJECTION", set_to("expressions", 3)),
    (SCAN, "PROJECTION", lambda node: node["children"].append(node["children"][0])),
    # references
    (SCAN, "PROJECTION", lambda node: first(node, reference(4))),
    (SCAN, "PROJECTION", lambda node: first(node, reference(-1))),
    (SCAN, "PROJECTION", lambda node: first(node, reference(_FAR))),
    (SCAN, "PROJECTION", lambda node: first(node, reference("0"))),
    (SCAN, "PROJECTION", lambda node: first(node, reference(None))),
    (SCAN, "PROJECTION", lambda node: first(node, reference(0, "BIGINT"))),
    (
        SCAN,
        "PROJECTION",
        lambda node: first(
            node,
            {
                "expression_class": "BOUND_COLUMN_REF",
                "return_type": {"id": "INTEGER"},
                "binding": {"table_index": _FAR, "column_index": 0},
            },
        ),
    ),
    # expressions
    (SCAN, "PROJECTION", lambda node: first(node, {"expression_class": "BOUND_NOVELTY"})),
    (SCAN, "PROJECTION", lambda node: first(node, {"expression_class": "BOUND_FUNCTION", "children": []})),
    ("SELECT list_transform(l, lambda x: x + 1) FROM @t", "PROJECTION", lambda node: _in_lambda(node, "BOUND_NOVELTY")),
    (
        "SELECT list_transform(l, lambda x: x + 1) FROM @t",
        "PROJECTION",
        lambda node: _in_lambda(node, "BOUND_COLUMN_REF"),
    ),
    (
        "SELECT list_transform(l, lambda x: x + 1) FROM @t",
        "PROJECTION",
        lambda node: node["expressions"][0]["function_data"]["lambda_expr"].update(expression_class="BOUND_NOVELTY"),
    ),
    # scans
    (SCAN, "GET", lambda node: node["function_data"].update(table="other")),
    (SCAN, "GET", lambda node: node["function_data"].update(schema="main")),
    (SCAN, "GET", lambda node: node["returned_types"].pop()),
    (SCAN, "GET", lambda node: node["column_indexes"][0].update(index=_FAR)),
    (SCAN, "GET", lambda node: node["column_indexes"][0].update(child_indexes=[{"index": 0}])),
    (SCAN, "GET", set_to("table_filters", {"filters": [1]})),
    (SCAN, "GET", set_to("children", [{"type": "LOGICAL_DUMMY_SCAN", "table_index": 9}])),
]


def _in_lambda(node: Json, expression_class: str) -> None:
    function = node["expressions"][0]
    body = next(child for child in function["children"] if child["expression_class"] == "BOUND_LAMBDA")
    body["lambda_expr"]["children"][0]["expression_class"] = expression_class


@pytest.mark.parametrize(("sql", "kind", "change"), CHANGES)
def test_what_is_not_understood_may_depend_on_everything_below_it(
    tables: Tables, sql: str, kind: str, change: Callable[[Json], Any]
) -> None:
    assert dependencies(changed(tables, sql, kind, change)) == ([_T], _T)


@pytest.mark.parametrize(
    "change",
    [
        set_to("join_type", "NOVELTY"),
        set_to("type", "LOGICAL_DELIM_JOIN"),
        lambda node: node["conditions"][0].update(right=reference(3)),
        lambda node: node["conditions"][0].pop("left"),
        set_to("left_projection_map", [7]),
        set_to("predicate", reference(9)),
    ],
)
def test_a_join_that_is_not_understood_may_depend_on_both_sides(tables: Tables, change: Callable[[Json], Any]) -> None:
    assert dependencies(changed(tables, JOIN, "COMPARISON_JOIN", change)) == ([EVERYTHING, EVERYTHING], EVERYTHING)


@pytest.mark.parametrize(
    "leaf",
    [
        {"type": "LOGICAL_DELIM_GET", "table_index": 1},
        {"type": "LOGICAL_GET", "table_index": 1, "qname": {"path": ["parquet_scan"]}},
        {"type": "LOGICAL_GET", "table_index": 1, "qname": {"path": ["seq_scan"]}, "function_data": {"catalog": "x"}},
        {"type": "LOGICAL_GET", "table_index": 1, "qname": {"path": ["seq_scan"]}},
        {"type": "LOGICAL_PROJECTION", "table_index": 1, "expressions": []},
    ],
)
def test_a_leaf_that_is_not_understood_may_read_any_table(tables: Tables, leaf: Json) -> None:
    def replace(node: Json) -> None:
        node["children"] = [leaf]

    assert dependencies(changed(tables, SCAN, "PROJECTION", replace)) == ([EVERYTHING], EVERYTHING)


def test_an_unknown_operator_over_what_reads_nothing_depends_on_nothing(tables: Tables) -> None:
    relation = changed(tables, "SELECT i FROM range(3) r(i)", "PROJECTION", set_to("type", "LOGICAL_NOVELTY"))
    assert dependencies(relation) == ([""], "")


def test_a_common_table_expression_that_is_not_understood_is_followed_to_its_tables(tables: Tables) -> None:
    def change(node: Json) -> None:
        node["children"][0]["type"] = "LOGICAL_NOVELTY"

    sql = "WITH x AS MATERIALIZED (SELECT d FROM @u) SELECT t.a FROM @t AS t, x"
    assert dependencies(changed(tables, sql, "MATERIALIZED_CTE", change)) == ([EVERYTHING], EVERYTHING)


@pytest.mark.parametrize(
    "change",
    [
        lambda node: node["children"].__setitem__(0, {"type": "LOGICAL_NOVELTY", "children": [node["children"][0]]}),
        lambda node: node["children"].__setitem__(1, {"type": "LOGICAL_NOVELTY", "children": [node["children"][1]]}),
        set_to("column_count", 2),
        set_to("key_targets", [reference(0)]),
    ],
)
def test_a_recursion_that_is_not_understood_may_depend_on_everything_below_it(
    tables: Tables, change: Callable[[Json], Any]
) -> None:
    sql = "WITH RECURSIVE r(n) AS (SELECT a FROM @t UNION ALL SELECT n FROM r) SELECT n FROM r"
    assert dependencies(changed(tables, sql, "RECURSIVE_CTE", change)) == ([_T], _T)


def test_a_reference_to_an_expression_of_other_types_is_not_believed(tables: Tables) -> None:
    sql = "WITH x AS MATERIALIZED (SELECT a, b FROM @t) SELECT a FROM x"
    relation = changed(tables, sql, "CTE_REF", set_to("chunk_types", [{"id": "INTEGER"}]))
    assert dependencies(relation) == ([_T], _T)


def test_set_operations_over_different_widths_are_not_believed(tables: Tables) -> None:
    sql = "SELECT a FROM @t UNION ALL SELECT d FROM @u"
    relation = changed(tables, sql, "UNION", set_to("column_count", 2))
    assert dependencies(relation) == ([EVERYTHING], EVERYTHING)


def test_no_plan_means_that_anything_may_depend_on_anything() -> None:
    assert dependencies(trace(None, traced(), 2)) == ([EVERYTHING, EVERYTHING], EVERYTHING)


def test_a_plan_of_another_width_than_the_result_is_not_believed(tables: Tables) -> None:
    relation = trace(tables.bind(SCAN).bound, traced(), 2)
    assert dependencies(relation) == ([EVERYTHING, EVERYTHING], EVERYTHING)


def test_a_plan_too_deep_to_follow_is_not_believed(tables: Tables) -> None:
    plan = tables.bind(SCAN).bound
    for _ in range(5000):
        plan = {"type": "LOGICAL_SAMPLE", "children": [plan]}
    assert dependencies(trace(plan, traced(), 1)) == ([EVERYTHING], EVERYTHING)


def test_a_plan_too_large_to_walk_is_not_believed(tables: Tables) -> None:
    leaf = {"type": "LOGICAL_DUMMY_SCAN", "table_index": 1}
    union = {"type": "LOGICAL_UNION", "table_index": 2, "column_count": 1, "setop_all": True}
    scan = tables.bind(SCAN).bound
    assert dependencies(trace({**union, "children": [scan, *[leaf] * 99]}, traced(), 1)) == (["t.a"], "")
    assert dependencies(trace({**union, "children": [scan, *[leaf] * 20_000]}, traced(), 1)) == ([_T], _T)


def test_a_table_with_fewer_columns_than_its_stand_in_is_not_believed(tables: Tables) -> None:
    known = traced()
    known["occ0"] = TracedTable("x", "t", known["occ0"].columns[:-1])
    columns, _ = dependencies(trace(tables.bind(SCAN).bound, known, 1))
    assert columns == [" ".join(f"t.{name}" for name in list(COLUMNS["t"])[:-1])]


@pytest.mark.parametrize(
    ("leaf", "kinds"),
    [
        ({"type": "LOGICAL_CHUNK_GET", "table_index": 1, "chunk_types": [{"id": "INTEGER"}]}, "chunk_types"),
        ({"type": "LOGICAL_EMPTY_RESULT", "return_types": [{"id": "INTEGER"}], "bindings": [1]}, "return_types"),
    ],
)
def test_rows_that_stand_in_the_plan_depend_on_nothing(tables: Tables, leaf: Json, kinds: str) -> None:
    def replace(node: Json) -> None:
        node["children"] = [leaf]

    assert len(leaf[kinds]) == 1
    assert dependencies(changed(tables, SCAN, "PROJECTION", replace)) == ([""], "")


def test_a_projection_map_says_which_columns_come_out(tables: Tables) -> None:
    relation = changed(tables, SCAN, "GET", set_to("projection_ids", [1, 0, 2, 3]))
    assert dependencies(relation) == (["t.b"], "")
