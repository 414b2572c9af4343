"""The SQL of aggregate steps: groups, their numbers and the guard."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import duckdb
import pytest

from datacanal.planning.grouping import guard, numbered_groups, output
from datacanal.protocol.plan import Entity, Measure, Protection

ENTITY = Entity(column="e0", lake="l", dataset="d")
PER_GROUP = Protection(
    groups=["g0"],
    measures=[
        Measure(function="count_star"),
        Measure(function="sum", column="m0"),
        Measure(function="avg", column="m0"),
    ],
    entities=[ENTITY],
)


@pytest.fixture
def database() -> Iterator[duckdb.DuckDBPyConnection]:
    connection = duckdb.connect(config={"threads": 1})
    yield connection
    connection.close()


def grouped(database: duckdb.DuckDBPyConnection, protection: Protection, rows: str) -> tuple[Any, list[dict[str, Any]]]:
    database.execute(f"CREATE TEMP TABLE relation AS {rows}")
    database.execute(f"CREATE TEMP TABLE groups AS {numbered_groups(protection, 'relation')}")
    found = database.sql(guard(protection, "relation", "groups")).to_arrow_table().to_pylist()
    return database.sql(output(protection, "groups")).fetchall(), found


def test_groups_are_those_of_plain_sql_null_and_nan_included(database: duckdb.DuckDBPyConnection) -> None:
    rows = "SELECT unnest([1.0, 1.0, NULL, NULL, 'nan'::DOUBLE, -0.0, 0.0]) AS g0, 2 AS m0, 1 AS e0"
    groups, _ = grouped(database, PER_GROUP, rows)
    expected = database.sql("SELECT g0, count(*), sum(m0), avg(m0) FROM relation GROUP BY g0").fetchall()
    assert sorted(map(str, groups)) == sorted(map(str, expected))
    assert len(groups) == 4


def test_the_guard_says_who_contributed_what_to_which_row(database: duckdb.DuckDBPyConnection) -> None:
    rows = "FROM (VALUES ('a', 5, 1), ('a', -7, 1), ('a', 3, 2), (NULL, 1, 1), (NULL, NULL, 3)) AS t(g0, m0, e0)"
    groups, found = grouped(database, PER_GROUP, rows)
    parts = {(groups[row["group"]][0], row["count_0"], row["count_1"], row["share_1"]) for row in found}
    assert parts == {("a", 2, 2, 12.0), ("a", 1, 1, 3.0), (None, 1, 1, 1.0), (None, 1, 0, None)}
    assert {row["entity_set"] for row in found} == {0}


def test_marks_depend_on_the_values_and_not_on_their_order(database: duckdb.DuckDBPyConnection) -> None:
    rows = "FROM (VALUES ('a', 0.1, 1), ('a', 0.7, 1), ('b', 0.7, 1), ('b', 0.1, 1), ('c', 0.8, 1)) AS t(g0, m0, e0)"
    groups, found = grouped(database, PER_GROUP, rows)
    marks = {groups[row["group"]][0]: row["mark_1"] for row in found}
    assert marks["a"] == marks["b"] != marks["c"]


def test_rows_that_belong_to_nobody_are_no_individual(database: duckdb.DuckDBPyConnection) -> None:
    _, found = grouped(database, PER_GROUP, "FROM (VALUES ('a', 1, NULL), ('a', 2, 7)) AS t(g0, m0, e0)")
    assert sorted(row["entity"] is None for row in found) == [False, True]


def test_without_group_columns_there_is_one_group_even_of_nothing(database: duckdb.DuckDBPyConnection) -> None:
    protection = PER_GROUP.model_copy(update={"groups": []})
    groups, found = grouped(database, protection, "SELECT 1 AS m0, 1 AS e0 WHERE false")
    assert groups == [(0, None, None)]
    assert found == []


def test_each_entity_set_has_its_part(database: duckdb.DuckDBPyConnection) -> None:
    measures = [Measure(function="count_distinct", column="m1"), Measure(function="max", column="m1")]
    entities = [ENTITY, Entity(column="e1", lake="l", dataset="other")]
    protection = Protection(groups=["g0"], measures=measures, entities=entities)
    rows = "FROM (VALUES ('a', 'x', 1, 1), ('a', 'y', 2, 1)) AS t(g0, m1, e0, e1)"
    groups, found = grouped(database, protection, rows)
    assert groups == [("a", 2, "y")]
    assert sorted((row["entity_set"], row["count_0"], row["share_0"]) for row in found) == [
        (0, 1, 1.0),
        (0, 1, 1.0),
        (1, 2, 2.0),
    ]
