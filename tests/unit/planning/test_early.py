"""What could raise over a row that another condition takes out, read from DuckDB's own bound plans."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import pytest

from datacanal.planning.bound_plan import bound_plan
from datacanal.planning.early import may_raise_early


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as opened:
        opened.execute("CREATE TABLE t(a INTEGER, b BIGINT, s VARCHAR, d DATE)")
        yield opened


@pytest.mark.parametrize(
    ("sql", "early"),
    [
        ("SELECT a FROM t WHERE b > 5 AND s LIKE 'x%' AND d BETWEEN '2020-01-01' AND '2020-02-01'", False),
        ("SELECT a + 1, CAST(s AS INTEGER) FROM t WHERE b = 3 ORDER BY CAST(s AS INTEGER) LIMIT 5", False),
        ("SELECT sum(a * b) FROM t WHERE s IS NOT NULL GROUP BY d HAVING count(*) > 3", False),
        ("SELECT x.a FROM t x LEFT JOIN t y ON x.a = y.b WHERE y.s <> 'a'", False),
        ("SELECT count(*) FROM t x WHERE EXISTS (SELECT 1 FROM t y WHERE y.a = x.a)", False),
        ("SELECT a FROM t WHERE b + 1 > 5", True),
        ("SELECT a FROM t WHERE CAST(s AS INTEGER) = a", True),
        ("SELECT n FROM (SELECT CAST(s AS INTEGER) AS n FROM t) WHERE n > 1", True),
        ("SELECT count(*) FROM t GROUP BY a // b HAVING a // b > 1", True),
        ("SELECT x.a FROM t x JOIN t y ON x.a + 1 = y.b", True),
        ("SELECT a FROM t WHERE error(s) IS NULL", True),
        ("SELECT a FROM t UNION SELECT CAST(s AS INTEGER) FROM t", True),
        ("SELECT a FROM t WHERE a IN (SELECT CAST(s AS INTEGER) FROM t)", True),
    ],
)
def test_conditions_must_not_raise_and_results_may(
    connection: duckdb.DuckDBPyConnection, sql: str, early: bool
) -> None:
    bound = bound_plan(connection, sql, {})
    assert bound is not None
    assert may_raise_early(bound) is early


def test_what_is_not_known_may_raise() -> None:
    assert may_raise_early(None)
    assert may_raise_early({"type": "LOGICAL_NEW", "expressions": [{"expression_class": "BOUND_NEW"}], "children": []})
