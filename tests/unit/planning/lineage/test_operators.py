"""Which columns come out of each operator of a plan, what they depend on, and what decides about its rows."""

from __future__ import annotations

import pytest
from tests.unit.planning.lineage.tables import EVERYTHING, Tables, dependencies, operators
from tests.unit.planning.lineage.tables import tables as traced

from datacanal.planning.lineage import trace

STATEMENTS = [
    # columns as they are, moved and renamed
    ("SELECT a FROM @t", ["t.a"], ""),
    ("SELECT b AS x, a, b FROM @t", ["t.b", "t.a", "t.b"], ""),
    ("SELECT * FROM @t", ["t.a", "t.b", "t.c", "t.l"], ""),
    ("SELECT 1, 'a', NULL, DATE '2024-01-01'", ["", "", "", ""], ""),
    ("SELECT a::BIGINT FROM @t", ["t.a"], ""),
    # whatever is worked out may fail, and then shows its inputs
    ("SELECT a + 1, b FROM @t", ["t.a", "t.b"], "t.a"),
    ("SELECT c || 'x' FROM @t", ["t.c"], "t.c"),
    ("SELECT a::SMALLINT FROM @t", ["t.a"], "t.a"),
    ("SELECT CASE WHEN a = 1 THEN b ELSE 3 END FROM @t", ["t.a t.b"], "t.a t.b"),
    ("SELECT a > 1 AND b > 1 FROM @t", ["t.a t.b"], "t.a t.b"),
    ("SELECT coalesce(a, b) FROM @t", ["t.a t.b"], "t.a t.b"),
    ("SELECT list_transform(l, lambda x: x + a) FROM @t", ["t.a t.l"], "t.a t.l"),
    ("SELECT list_transform([1], lambda x: list_transform([2], lambda y: x + y + a)) FROM @t", ["t.a"], "t.a"),
    ("SELECT t FROM @t AS t", ["t.a t.b t.c t.l"], "t.a t.b t.c t.l"),
    # conditions
    ("SELECT a FROM @t WHERE b = 1", ["t.a"], "t.b"),
    ("SELECT a FROM @t WHERE b = 1 AND (c = 'x' OR l IS NULL)", ["t.a"], "t.b t.c t.l"),
    ("SELECT a FROM @t WHERE b BETWEEN 1 AND 2", ["t.a"], "t.b"),
    ("SELECT a FROM @t WHERE b IN (1, 2)", ["t.a"], "t.b"),
    ("SELECT a FROM @t WHERE c LIKE $p", ["t.a"], "t.c"),
    # joins
    ("SELECT t.a, d FROM @t AS t JOIN @u AS u ON t.b = u.a", ["t.a", "u.d"], "t.b u.a"),
    ("SELECT t.c, d FROM @t AS t LEFT JOIN @u AS u USING (a)", ["t.c", "u.d"], "t.a u.a"),
    ("SELECT t.c, d FROM @t AS t RIGHT JOIN @u AS u ON t.a = u.a AND t.b < u.d", ["t.c", "u.d"], "t.a t.b u.a u.d"),
    ("SELECT a FROM @t FULL JOIN @u USING (a)", ["t.a u.a"], "t.a u.a"),
    ("SELECT c FROM @t AS t JOIN @u AS u ON t.a = u.a AND t.b + u.d > 3", ["t.c"], "t.a t.b u.a u.d"),
    ("SELECT t.c FROM @t AS t JOIN @u AS u ON t.a = u.a OR t.b = u.d", ["t.c"], "t.a t.b u.a u.d"),
    ("SELECT c FROM @t AS t JOIN @u AS u ON t.a + u.a > 3 AND t.b + u.d > 3", ["t.c"], "t.a t.b u.a u.d"),
    ("SELECT c FROM @t SEMI JOIN @u USING (a)", ["t.c"], "t.a u.a"),
    ("SELECT c FROM @t AS t SEMI JOIN @u AS u ON t.a < u.a OR t.b < u.d", ["t.c"], "t.a t.b u.a u.d"),
    ("SELECT c FROM @t AS t ANTI JOIN @u AS u ON t.a = u.a", ["t.c"], "t.a u.a"),
    ("SELECT c, d FROM @t, @u", ["t.c", "u.d"], ""),
    ("SELECT c, d FROM @t POSITIONAL JOIN @u", ["t.c", "u.d"], ""),
    ("SELECT c, d FROM @t AS t ASOF JOIN @u AS u ON t.b = u.d AND t.a >= u.a", ["t.c", "u.d"], "t.a t.b u.a u.d"),
    # subqueries
    ("SELECT c FROM @t WHERE a IN (SELECT d FROM @u)", ["t.c"], "t.a u.d"),
    ("SELECT c, a IN (SELECT d FROM @u) FROM @t", ["t.c", "t.a u.d"], "t.a u.d"),
    ("SELECT c FROM @t AS t WHERE EXISTS (SELECT 1 FROM @u AS u WHERE u.a = t.a AND d = 2)", ["t.c"], "t.a u.a u.d"),
    ("SELECT c FROM @t AS t WHERE NOT EXISTS (SELECT 1 FROM @u AS u WHERE u.a = t.a)", ["t.c"], "t.a u.a"),
    ("SELECT c, (SELECT max(d) FROM @u) FROM @t", ["t.c", "u.d"], "u.d"),
    ("SELECT c, (SELECT max(d) FROM @u AS u WHERE u.a = t.a) FROM @t AS t", ["t.c", "u.d"], "t.a u.a u.d"),
    ("SELECT c FROM @t WHERE a > ALL (SELECT d FROM @u)", ["t.c"], "t.a u.d"),
    ("SELECT c, d FROM @t AS t, LATERAL (SELECT d FROM @u AS u WHERE u.a = t.a) AS s", ["t.c", "u.d"], "t.a u.a"),
    # groups
    ("SELECT b, sum(a) FROM @t GROUP BY b", ["t.b", "t.a"], "t.a t.b"),
    ("SELECT count(*) FROM @t", [""], ""),
    ("SELECT count(*) FILTER (WHERE b = 1) FROM @t", ["t.b"], "t.b"),
    ("SELECT list(a ORDER BY b) FROM @t", ["t.a t.b"], "t.a t.b"),
    ("SELECT list_aggregate(list(a ORDER BY b), 'sum') FROM @t", ["t.a t.b"], "t.a t.b"),
    ("SELECT b, c, count(*), grouping(b) FROM @t GROUP BY ROLLUP (b, c)", ["t.b", "t.c", "", ""], "t.b t.c"),
    ("SELECT count(*) FROM @t GROUP BY c HAVING min(b) > 1", [""], "t.b t.c"),
    ("SELECT DISTINCT b FROM @t", ["t.b"], "t.b"),
    ("SELECT b FROM @t GROUP BY b", ["t.b"], "t.b"),
    ("SELECT b FROM (SELECT DISTINCT a, b FROM @t)", ["t.b"], "t.a t.b"),
    ("SELECT count(*) FROM (SELECT DISTINCT b FROM @t)", [""], "t.b"),
    ("SELECT count(*) FROM (SELECT b FROM @t GROUP BY b)", [""], "t.b"),
    ("SELECT count(*) FROM (SELECT a + b FROM @t GROUP BY a + b)", [""], "t.a t.b"),
    ("SELECT d FROM @u, (SELECT DISTINCT b FROM @t)", ["u.d"], "t.b"),
    ("SELECT d FROM @u, (SELECT DISTINCT b FROM @t LIMIT 3)", ["u.d"], "t.b"),
    ("SELECT d FROM @u LEFT JOIN (SELECT DISTINCT b FROM @t) ON true", ["u.d"], "t.b"),
    ("SELECT d FROM @u POSITIONAL JOIN (SELECT DISTINCT b FROM @t)", ["u.d"], "t.b"),
    ("SELECT d FROM @u UNION ALL SELECT 1 FROM (SELECT DISTINCT b FROM @t)", ["u.d"], "t.b"),
    ("SELECT row_number() OVER () FROM (SELECT DISTINCT b FROM @t)", [""], "t.b"),
    ("SELECT i FROM (SELECT DISTINCT b FROM @t), range(3) AS r(i)", [""], "t.b"),
    ("SELECT 1 FROM (SELECT DISTINCT b FROM @t) USING SAMPLE 3", [""], "t.b"),
    (
        "WITH RECURSIVE r(n) AS (SELECT 1 FROM (SELECT DISTINCT b FROM @t) UNION ALL SELECT n + 1 FROM r WHERE n < 3) "
        "SELECT n FROM r",
        [""],
        "t.b",
    ),
    (
        "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r, (SELECT DISTINCT b FROM @t) WHERE n < 3) "
        "SELECT n FROM r",
        [""],
        "t.b",
    ),
    ("SELECT d FROM @u ASOF JOIN (SELECT DISTINCT a, b FROM @t) AS t ON u.a >= t.a", ["u.d"], "t.a t.b u.a"),
    # whoever asks whether there is a partner does not see how many there are
    ("SELECT d FROM @u SEMI JOIN (SELECT DISTINCT a, b FROM @t) USING (a)", ["u.d"], "t.a u.a"),
    ("SELECT d FROM @u ANTI JOIN (SELECT a, b FROM @t GROUP BY a, b) USING (a)", ["u.d"], "t.a u.a"),
    ("SELECT d FROM @u WHERE a IN (SELECT a FROM (SELECT DISTINCT a, b FROM @t))", ["u.d"], "t.a u.a"),
    ("SELECT d FROM @u WHERE a IN (SELECT a FROM (SELECT DISTINCT a, b FROM @t) LIMIT 3)", ["u.d"], "t.a t.b u.a"),
    ("SELECT d FROM (SELECT DISTINCT a, d FROM @u) SEMI JOIN @t USING (a)", ["u.d"], "t.a u.a u.d"),
    ("SELECT DISTINCT ON (b) a FROM @t ORDER BY b, c", ["t.a"], "t.b t.c"),
    # windows
    ("SELECT a, row_number() OVER (PARTITION BY b ORDER BY c) FROM @t", ["t.a", "t.b t.c"], "t.b t.c"),
    ("SELECT sum(a) OVER (ORDER BY b ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM @t", ["t.a t.b"], "t.a t.b"),
    ("SELECT sum(1) FILTER (WHERE c = 'x') OVER () FROM @t", ["t.c"], "t.c"),
    ("SELECT lag(a, 1, b) OVER (ORDER BY c) FROM @t", ["t.a t.b t.c"], "t.a t.b t.c"),
    ("SELECT a FROM @t QUALIFY rank() OVER (ORDER BY b) = 1", ["t.a"], "t.b"),
    # order and limits
    ("SELECT a FROM @t ORDER BY b", ["t.a"], "t.b"),
    ("SELECT a FROM @t ORDER BY b, c LIMIT 3 OFFSET 1", ["t.a"], "t.b t.c"),
    ("SELECT a FROM @t LIMIT (SELECT max(d) FROM @u)", ["t.a"], "u.d"),
    ("SELECT a FROM @t OFFSET (SELECT max(d) FROM @u)", ["t.a"], "u.d"),
    ("SELECT a FROM @t LIMIT 10%", ["t.a"], ""),
    ("SELECT a FROM @t USING SAMPLE 3", ["t.a"], ""),
    # set operations
    ("SELECT a FROM @t UNION ALL SELECT d FROM @u", ["t.a u.d"], ""),
    ("SELECT a FROM @t UNION SELECT d FROM @u", ["t.a u.d"], "t.a u.d"),
    ("SELECT a, b FROM @t INTERSECT SELECT a, d FROM @u", ["t.a u.a", "t.b u.d"], "t.a t.b u.a u.d"),
    ("SELECT a FROM @t EXCEPT ALL SELECT a FROM @u", ["t.a u.a"], "t.a u.a"),
    ("SELECT a FROM @t UNION ALL SELECT d FROM @u UNION ALL SELECT 1", ["t.a u.d"], ""),
    # lists and values
    ("SELECT unnest(l), a FROM @t", ["t.l", "t.a"], "t.l"),
    ("SELECT x, a FROM @t, unnest(l) AS s(x)", ["t.l", "t.a"], "t.l"),
    ("SELECT i, a FROM range(3) AS r(i), @t", ["", "t.a"], ""),
    ("SELECT i FROM @t, range(b) AS r(i)", ["t.b"], "t.b"),
    ("SELECT value FROM @t, json_each(c)", ["t.c"], "t.c"),
    ("SELECT a, j.key FROM @t, json_each(c) AS j WHERE b = 1", ["t.a", "t.c"], "t.b t.c"),
    ("SELECT i, a FROM repeat(1, 3) AS r(i), @t", ["", "t.a"], ""),
    ("SELECT v, a FROM (VALUES (1), (2)) AS s(v), @t", ["", "t.a"], ""),
    ("SELECT v, w FROM @t, LATERAL (VALUES (a, 1)) AS s(v, w)", ["t.a", ""], "t.a"),
    ("SELECT a FROM @t WHERE false", ["t.a"], ""),
    # common table expressions
    ("WITH x AS (SELECT a, b FROM @t WHERE c = '') SELECT b FROM x", ["t.b"], "t.c"),
    (
        "WITH x AS MATERIALIZED (SELECT a, b FROM @t) SELECT p.a FROM x AS p JOIN x AS q ON p.b = q.a",
        ["t.a"],
        "t.a t.b",
    ),
    ("WITH x AS MATERIALIZED (SELECT a::SMALLINT AS s, b FROM @t) SELECT b FROM x", ["t.b"], "t.a"),
    (
        "WITH RECURSIVE r(n, m) AS (SELECT a, 0 FROM @t UNION ALL SELECT n, d FROM r, @u) SELECT * FROM r",
        ["t.a", "u.d"],
        "",
    ),
    (
        "WITH RECURSIVE r(x, y, z) AS (SELECT a, b, 0 FROM @t UNION ALL SELECT y, z, d FROM r, @u WHERE x < 9) "
        "SELECT x FROM r",
        ["t.a t.b u.d"],
        "t.a t.b u.d",
    ),
    ("WITH RECURSIVE r(n) AS (SELECT a FROM @t UNION SELECT n FROM r) SELECT n FROM r", ["t.a"], "t.a"),
    # pivots
    ("PIVOT (SELECT a, b FROM @t) ON b IN (1, 2) USING sum(a)", ["t.a t.b", "t.a t.b"], "t.a t.b"),
    ("UNPIVOT (SELECT a, b FROM @t) ON a, b INTO NAME n VALUE v", ["", "t.a t.b"], "t.a t.b"),
]


@pytest.mark.parametrize(("sql", "columns", "shape"), STATEMENTS, ids=[sql for sql, *_ in STATEMENTS])
def test_an_operator_passes_on_what_its_output_depends_on(
    tables: Tables, sql: str, columns: list[str], shape: str
) -> None:
    assert tables.depends(sql, {"p": "%x"} if "$p" in sql else None) == (columns, shape)


@pytest.mark.parametrize("kind", ["", "ASOF"])
def test_a_predicate_beside_the_conditions_of_a_join_decides_about_rows(tables: Tables, kind: str) -> None:
    binding = tables.bind(f"SELECT c FROM @t AS t {kind} JOIN @u AS u ON t.a >= u.a")
    join = next(node for node in operators(binding.bound) if "conditions" in node)
    join["predicate"] = {"expression_class": "BOUND_REF", "return_type": {"id": "INTEGER"}, "index": 5}
    assert dependencies(trace(binding.bound, traced(), 1)) == (["t.c"], "t.a u.a u.d")


def test_a_conjunction_that_was_not_split_is(tables: Tables) -> None:
    binding = tables.bind("SELECT c FROM @t WHERE a = 1 AND b = 2")
    node = next(node for node in operators(binding.bound) if node["type"] == "LOGICAL_FILTER")
    node["expressions"] = [
        {"expression_class": "BOUND_CONJUNCTION", "type": "CONJUNCTION_AND", "children": node["expressions"]}
    ]
    assert dependencies(trace(binding.bound, traced(), 1)) == (["t.c"], "t.a t.b")


def test_a_recursion_with_keys_which_duckdb_cannot_write_down_may_depend_on_anything(tables: Tables) -> None:
    sql = "WITH RECURSIVE r(k, n) USING KEY (k) AS (SELECT a, 1 FROM @t UNION SELECT k, n FROM r) SELECT k FROM r"
    assert tables.depends(sql) == ([EVERYTHING], EVERYTHING)
