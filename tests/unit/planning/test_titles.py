"""A column without an alias is called as DuckDB would have called it, whatever happened to the text."""

import pytest

from datacanal.planning.duckdb_binder import DuckDBBinder
from datacanal.planning.titles import keep_titles

STATEMENTS = {
    "a table": "SELECT (SELECT max(a) FROM lake.t)",
    "values": "SELECT (SELECT b FROM (VALUES (NULL, 'x')) AS v(a, b))",
    "parameters": "SELECT (SELECT a FROM lake.t WHERE $yes AND a > $least)",
    "inside an expression": "SELECT 1 + (SELECT a FROM lake.t) * 2",
}


@pytest.mark.parametrize("sql", STATEMENTS.values(), ids=STATEMENTS.keys())
def test_an_item_with_a_subquery_keeps_its_title(sql: str) -> None:
    binder = DuckDBBinder()
    tree = binder.parse(sql)
    keep_titles(tree, binder)
    item = tree["statements"][0]["node"]["select_list"][0]
    assert item["alias"] == binder.print_checked(binder.parse(sql)).removeprefix("SELECT ")
    assert binder.print_checked(tree)


def test_an_item_with_an_alias_or_without_a_subquery_stays() -> None:
    binder = DuckDBBinder()
    tree = binder.parse("SELECT (SELECT a FROM lake.t) AS mine, a + 1, * FROM lake.t")
    keep_titles(tree, binder)
    items = tree["statements"][0]["node"]["select_list"]
    assert [item.get("alias") for item in items] == ["mine", None, None]
