"""The gate by itself: text that no parser may see, trees that no statement may have."""

from __future__ import annotations

import json
from typing import Any

import duckdb
import pytest

from datacanal.domain.errors import (
    ConstructNotAllowed,
    FunctionNotAllowed,
    NotASelect,
    SqlBadText,
    SqlSyntax,
    SqlTooDeep,
    SqlTooLong,
)
from datacanal.planning.gate import check_text, check_tree
from datacanal.planning.text import lexemes, nesting, statements


def whole_tree(sql: str) -> dict[str, Any]:
    """The tree as sites read it: nothing skipped."""
    row = duckdb.connect().execute("SELECT json_serialize_sql($sql::VARCHAR)", {"sql": sql}).fetchone()
    assert row is not None
    return dict(json.loads(row[0]))


def test_a_statement_of_64_kib_passes_and_one_byte_more_does_not() -> None:
    check_text("SELECT '" + "x" * (64 * 1024 - 9) + "'")
    with pytest.raises(SqlTooLong):
        check_text("SELECT '" + "x" * (64 * 1024 - 8) + "'")


def test_length_counts_bytes_not_characters() -> None:
    with pytest.raises(SqlTooLong):
        check_text("é" * (33 * 1024))


@pytest.mark.parametrize("sql", ["SELECT '\0'", "SELECT '\ud800'", "\udfff"])
def test_nul_and_half_surrogates_are_refused(sql: str) -> None:
    with pytest.raises(SqlBadText):
        check_text(sql)


@pytest.mark.parametrize(("opening", "closing"), ["()", "[]", "{}"])
def test_two_hundred_levels_pass_and_four_hundred_do_not(opening: str, closing: str) -> None:
    check_text("SELECT " + opening * 200 + "1" + closing * 200)
    with pytest.raises(SqlTooDeep):
        check_text("SELECT " + opening * 400 + "1" + closing * 400)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT '" + "(" * 400 + "'",
        'SELECT "' + "(" * 400 + '"',
        "SELECT $$" + "(" * 400 + "$$",
        "SELECT $q$ $$ " + "(" * 400 + "$q$",
        "SELECT E'\\'" + "(" * 400 + "'",
        "SELECT 1 -- " + "(" * 400,
        "SELECT 1 /* /* */ " + "(" * 400 + "*/",
        "SELECT 1 /* " + "(" * 400,
        "SELECT '" + "(" * 400,
        "SELECT $$" + "(" * 400,
    ],
)
def test_brackets_in_quotes_and_comments_do_not_count(sql: str) -> None:
    assert nesting(sql) == 0


def test_the_scanner_reads_any_text_to_its_end() -> None:
    for sql in ["", "'", '"', "/*", "$", "$$", "$a", "--", "\\", "e'", "\ufeff", "a$b$c", "1.5e3", "’", "/* */ */"]:
        assert "".join(text for _, text in lexemes(sql)).replace(" ", "") == sql.replace(" ", "").replace(
            "/**/", ""
        ).replace("--", "").replace("/*", "").replace("\ufeff", "\ufeff")


def test_semicolons_in_quotes_divide_nothing() -> None:
    assert statements("SELECT ';' AS \"a;b\" /* ; */ -- ;") == 1
    assert statements("SELECT 1;; SELECT 2;") == 2
    assert statements(" ; ; ") == 0


@pytest.mark.parametrize("count", [250, 900, 2500])
def test_a_long_chain_of_operators_is_accepted_or_refused_but_never_overflows(bench: Any, count: int) -> None:
    sql = "SELECT " + " + ".join(["1"] * count)
    try:
        check_tree(bench.binder.parse(sql), sql)
    except SqlTooDeep:
        assert count > 250


def test_a_tree_deeper_than_any_statement_is_refused_without_recursion() -> None:
    node: dict[str, Any] = {"class": "CONSTANT", "type": "VALUE_CONSTANT", "literal": {}}
    for _ in range(5000):
        node = {"class": "OPERATOR", "type": "OPERATOR_NOT", "children": [node]}
    with pytest.raises(SqlTooDeep):
        check_tree({"statements": [{"node": {"type": "SELECT_NODE", "select_list": [node]}}]})


def test_the_gate_judges_whole_trees_and_trees_without_empty_values_alike(bench: Any) -> None:
    sql = "SELECT a, sum(b) FILTER (WHERE c) FROM t JOIN u USING (x) WHERE a IN (1, 2) GROUP BY ALL ORDER BY 1 LIMIT 3"
    check_tree(whole_tree(sql))
    check_tree(bench.binder.parse(sql))
    for parse in (whole_tree, bench.binder.parse):
        with pytest.raises(FunctionNotAllowed):
            check_tree(parse("SELECT getenv('HOME')"))
        with pytest.raises(ConstructNotAllowed):
            check_tree(parse("FROM t AT (VERSION => 1)"))


@pytest.mark.parametrize(
    "node",
    [
        {"type": "SOMETHING_NODE"},
        {"type": "SELECT_NODE", "select_list": [{"class": "BOUND_EXPRESSION", "type": "BOUND"}]},
        {"type": "SELECT_NODE", "select_list": [{"class": "OPERATOR", "type": "OPERATOR_NEW", "children": []}]},
        {"type": "SELECT_NODE", "select_list": [{"class": "STAR", "type": "STAR", "new_list": ["x"]}]},
        {"type": "SELECT_NODE", "from_table": {"type": "COLUMN_DATA"}},
        {"type": "SELECT_NODE", "from_table": {"type": "PIVOT", "pivots": [{"pivot_enum": "moods"}]}},
        {"type": "SELECT_NODE", "new_clause": {"x": 1}},
        {"type": "SELECT_NODE", "where_clause": {"unheard": 1}},
        {"type": "SELECT_NODE", "from_table": {"type": "TABLE_FUNCTION", "function": {"class": "CONSTANT"}}},
    ],
)
def test_what_the_list_does_not_name_is_refused(node: dict[str, Any]) -> None:
    with pytest.raises(ConstructNotAllowed):
        check_tree({"error": False, "statements": [{"node": node}]})


def test_a_function_whose_two_names_differ_is_refused() -> None:
    call = {
        "class": "FUNCTION",
        "type": "FUNCTION",
        "function_name": "abs",
        "qualified_name": {"path": ["getenv"]},
    }
    with pytest.raises(ConstructNotAllowed):
        check_tree({"statements": [{"node": {"type": "SELECT_NODE", "select_list": [call]}}]})


def test_an_exported_aggregate_state_is_refused(bench: Any) -> None:
    tree = bench.binder.parse("SELECT sum(1)")
    tree["statements"][0]["node"]["select_list"][0]["export_state"] = True
    with pytest.raises(ConstructNotAllowed):
        check_tree(tree)


def test_a_tree_without_statements_is_not_a_select() -> None:
    with pytest.raises(NotASelect):
        check_tree({})


def test_a_syntax_error_says_where_in_characters(bench: Any) -> None:
    sql = "SELECT 'éé中' \n FROM order"
    with pytest.raises(SqlSyntax) as refusal:
        check_tree(bench.binder.parse(sql), sql)
    assert refusal.value.data["position"] == sql.index("order")
    assert "line 2, column 7" in refusal.value.detail
    assert '"order"' in refusal.value.remedy
