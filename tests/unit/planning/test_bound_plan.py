"""The bound plan: asked with parameters as values of the types that DuckDB gives them, and never a reason to fail."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import duckdb
import pytest

from datacanal.domain.errors import DoesNotBind
from datacanal.planning.binding import BoundTable, NamedType
from datacanal.planning.bound_plan import bound_plan
from datacanal.planning.stand_ins import stand_ins


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(config={"threads": 1}) as connection:
        yield connection


def kinds(plan: dict[str, Any] | None) -> list[str]:
    """The types of a projection's expressions."""
    assert plan is not None
    return [_kind(expression) for expression in plan["expressions"]]


def _kind(expression: dict[str, Any]) -> str:
    kind = expression.get("return_type") or expression["value"]["type"]
    return str(kind["id"])


@pytest.mark.parametrize(
    "value",
    [
        1,
        -1,
        2**31,
        2**63 - 1,
        2**63,
        2**64,
        -(2**63) - 1,
        2**100,
        1.5,
        -0.0,
        True,
        "x",
        "it's; --",
        [1, 2],
        ["a", None],
    ],
)
def test_a_parameter_has_the_type_that_duckdb_gives_it(connection: duckdb.DuckDBPyConnection, value: Any) -> None:
    [(expected,)] = connection.execute("SELECT typeof($p)", {"p": value}).fetchall()
    [found] = kinds(bound_plan(connection, "SELECT $p AS x", {"p": value}))
    assert expected.startswith(found) or (found == "LIST" and expected.endswith("[]"))


def test_the_same_parameter_may_stand_in_many_places(connection: duckdb.DuckDBPyConnection) -> None:
    plan = bound_plan(connection, "SELECT $p, $q WHERE $p > 1 LIMIT $p", {"p": 2, "q": None, "unused": 3})
    assert plan is not None


@pytest.mark.parametrize(
    ("sql", "params"),
    [
        ("SELECT $p", {"p": {"a": 1}}),
        ("SELECT $p", {"p": float("inf")}),
        ("SELECT $p", {"q": 1}),
        ("SELECT nothing_like_this(1)", {}),
        ("SELECT $p FROM", {"p": 1}),
        ("SELECT 1; SELECT 2", {}),
        ("", {}),
    ],
)
def test_what_cannot_be_asked_has_no_plan(
    connection: duckdb.DuckDBPyConnection, sql: str, params: dict[str, Any]
) -> None:
    assert bound_plan(connection, sql, params) is None


def test_a_plan_that_is_very_large_is_no_plan(connection: duckdb.DuckDBPyConnection) -> None:
    assert bound_plan(connection, f"SELECT '{'x' * 17 * 2**20}'", {}) is None


@pytest.mark.parametrize("number", ["'NaN'::DOUBLE + 1", "1e400", "-1e400", "1e400 + ('NaN'::DOUBLE + 1)"])
def test_a_plan_with_what_is_no_number_is_read_and_can_be_written(
    connection: duckdb.DuckDBPyConnection, number: str
) -> None:
    plan = bound_plan(connection, f"SELECT {number}, 'NAN' AS \"inf\"", {})
    assert len(kinds(plan)) == 2
    assert "NAN" in json.dumps(plan, allow_nan=False)


def test_stand_ins_leave_nothing_behind(connection: duckdb.DuckDBPyConnection) -> None:
    table = BoundTable(occurrence="occ0", lake="a lake", dataset='d"', columns=[NamedType(name="x y", type="INTEGER")])
    before = connection.execute("SELECT database_name FROM duckdb_databases()").fetchall()
    with stand_ins(connection, [table], "c"):
        assert bound_plan(connection, 'SELECT "x y" FROM occ0."a lake"."d"""', {}) is not None
    assert connection.execute("SELECT database_name FROM duckdb_databases()").fetchall() == before


@pytest.mark.parametrize("kind", ["INTEGER); DROP TABLE x; --", "INTEGER, y INTEGER", "NO_SUCH_TYPE"])
def test_a_stand_in_with_a_bad_type_is_refused_and_leaves_nothing_behind(
    connection: duckdb.DuckDBPyConnection, kind: str
) -> None:
    table = BoundTable(occurrence="occ0", lake="l", dataset="d", columns=[NamedType(name="x", type=kind)])
    with pytest.raises(DoesNotBind), stand_ins(connection, [table], "c"):
        pass
    assert bound_plan(connection, "SELECT x FROM occ0.l.d", {}) is None
