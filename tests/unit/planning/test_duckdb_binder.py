"""The binder: what it prints is proved, what it binds leaves nothing behind."""

from __future__ import annotations

from typing import Any

import pytest

from datacanal.domain.errors import (
    BadParameter,
    ColumnNotFound,
    ConstructNotAllowed,
    DoesNotBind,
)
from datacanal.planning.binding import Binding, BindRequest, BoundTable, NamedType, Question
from datacanal.planning.canonical import same_meaning
from datacanal.planning.duckdb_binder import DuckDBBinder

NOW = "2026-01-02T03:04:05+00:00"


def table(occurrence: str = "occ0", kind: str = "INTEGER") -> BoundTable:
    return BoundTable(occurrence=occurrence, lake="l", dataset="d", columns=[NamedType(name="a b", type=kind)])


def bind(binder: Any, sql: str, params: dict[str, Any] | None = None, *tables: BoundTable) -> Binding:
    question = Question(sql=sql, params=params or {})
    bound = binder.bind(BindRequest(tables=list(tables) or [table()], questions=[question], now=NOW, prefix="c"))
    return bound[0]


PRINTED = [
    "SELECT [x * 2 FOR x IN l IF x > 1] FROM t",
    "VALUES (1, 2), (3, 4)",
    "SELECT * FROM (VALUES (1)) v(a), (VALUES (2))",
    "SELECT * FROM t WHERE (a, b) IN (VALUES (1, 2))",
    "SELECT a FROM t GROUP BY ROLLUP (a, b), CUBE (c)",
    "SELECT a LIKE 'x' ESCAPE '!', a NOT ILIKE 'y' ESCAPE '!'",
    "SELECT CASE a WHEN 1 THEN 2 END, a::DECIMAL(3, 1)[], INTERVAL 3 DAY, -1, 1e400, 123456789012345678901234567890",
    "FROM t PIVOT (sum(x) AS s, count(*) FOR y IN ('a' AS q, 'b') p IN (1, 2) GROUP BY k)",
    "FROM t UNPIVOT INCLUDE NULLS ((a, b) FOR n IN ((x, y) AS 'p', (z, w)))",
    "WITH RECURSIVE r(n) USING KEY (n) AS (SELECT 1 UNION SELECT n + 1 FROM recurring.r) FROM r",
    "SELECT x, sum(y) OVER w FROM t WINDOW w AS (ORDER BY x RANGE BETWEEN 1 PRECEDING AND CURRENT ROW EXCLUDE TIES)",
    "SELECT * EXCLUDE (a) REPLACE (1 AS b) RENAME (c AS d), COLUMNS('x|y'), t.* LIKE 'a%' FROM t",
    "FROM t ASOF LEFT JOIN u USING (a, b) POSITIONAL JOIN v SEMI JOIN w ON a = b NATURAL JOIN x",
    "SELECT DISTINCT ON (a) b FROM t ORDER BY ALL DESC NULLS LAST LIMIT 10% OFFSET 3",
    'SELECT $name, a.b.c, "A""b", \'it\'\'s\', E\'\\n\', $$x$$ FROM "select"."from" AS "group by"',
    "SELECT x FROM t USING SAMPLE RESERVOIR (5 ROWS) REPEATABLE (1)",
]


@pytest.mark.parametrize("sql", PRINTED)
def test_printed_text_reads_as_the_same_tree(bench: Any, sql: str) -> None:
    tree = bench.binder.parse(sql)
    printed = bench.binder.print_checked(tree)
    assert same_meaning(tree, bench.binder.parse(printed))


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("SELECT 1", "SELECT 2"),
        ("SELECT a", "SELECT b"),
        ("SELECT a AS b", "SELECT a"),
        ("SELECT a FROM t GROUP BY ROLLUP (a, b)", "SELECT a FROM t GROUP BY CUBE (a, b)"),
        ("SELECT * FROM (VALUES (1)) valueslist", "SELECT * FROM (VALUES (2)) valueslist"),
        ("SELECT f(a := 1)", "SELECT f(b := 1)"),
        ("SELECT NOT a", "SELECT a"),
        ("SELECT DISTINCT a", "SELECT a"),
    ],
)
def test_trees_that_differ_do_not_mean_the_same(bench: Any, left: str, right: str) -> None:
    assert not same_meaning(bench.binder.parse(left), bench.binder.parse(right))


def test_a_tree_that_cannot_be_proved_is_refused(bench: Any) -> None:
    tree = bench.binder.parse("SELECT * FROM t")
    tree["statements"][0]["node"]["from_table"]["table_name"] = "other"
    with pytest.raises(ConstructNotAllowed):
        bench.binder.print_checked(tree)


def test_a_tree_that_cannot_be_printed_is_refused(bench: Any) -> None:
    with pytest.raises(ConstructNotAllowed):
        bench.binder.print_checked({"error": False, "statements": [{"node": {"type": "NO_NODE"}}]})


def test_names_and_types_of_the_result_are_duckdbs(bench: Any) -> None:
    binding = bind(bench.binder, 'SELECT count(*), "a b" + 1, NULL AS n, sum("a b") FROM occ0.l.d GROUP BY 2')
    assert [(column.name, column.type) for column in binding.columns] == [
        ("count_star()", "BIGINT"),
        ('("a b" + 1)', "INTEGER"),
        ("n", '"NULL"'),
        ('sum("a b")', "HUGEINT"),
    ]


def test_a_failed_statement_leaves_no_table_behind(bench: Any) -> None:
    with pytest.raises(ColumnNotFound):
        bind(bench.binder, "SELECT nope FROM occ0.l.d")
    bind(bench.binder, 'SELECT "a b" FROM occ0.l.d', None, table(kind="VARCHAR"))
    with pytest.raises(DoesNotBind):
        bind(bench.binder, "FROM occ0.l.d", None, table("occ1"))


def test_a_table_that_cannot_be_made_leaves_nothing_behind(bench: Any) -> None:
    with pytest.raises(DoesNotBind):
        bind(bench.binder, "SELECT 1", None, table(), table("occ1", kind="NOSUCHTYPE"))
    assert bind(bench.binder, "SELECT 1").columns[0].type == "INTEGER"


@pytest.mark.parametrize("kind", ["INTEGER); DROP SCHEMA x; --", "INTEGER, b INTEGER", "INTEGER)", "INTEGER;"])
def test_a_type_that_is_more_than_a_type_is_refused(bench: Any, kind: str) -> None:
    with pytest.raises(DoesNotBind):
        bind(bench.binder, "SELECT 1", None, table(kind=kind))


@pytest.mark.parametrize(
    "kind",
    [
        "DECIMAL(12,2)",
        'STRUCT(a INTEGER, "b;c" VARCHAR[])[3]',
        "ENUM('a,b', ');', 'it''s')",
        "MAP(VARCHAR, UNION(a INTEGER, b VARCHAR))",
        "TIMESTAMP WITH TIME ZONE",
    ],
)
def test_every_type_binds(bench: Any, kind: str) -> None:
    assert bind(bench.binder, "FROM occ0.l.d", None, table(kind=kind)).columns[0].type.split("(")[0] in kind


def test_each_request_has_its_own_instant() -> None:
    binder = DuckDBBinder()
    for year in ("2026", "2027"):
        question = Question(sql='SELECT 1 FROM occ0.l.d WHERE "a b" > now()')
        table_at = [table(kind="TIMESTAMPTZ")]
        request = BindRequest(tables=table_at, questions=[question], now=f"{year}-01-02T03:04:05+00:00", prefix="c")
        assert f"{year}-01-02 03:04:05+00" in str(binder.bind(request)[0].plan)
    binder.close()


def test_nothing_outside_can_be_opened(bench: Any) -> None:
    for sql in ("FROM read_text('/etc/hostname')", "FROM '/etc/hostname'", "FROM glob('/*')"):
        with pytest.raises(DoesNotBind):
            bind(bench.binder, sql)


def test_values_of_parameters_reach_the_plan(bench: Any) -> None:
    binding = bind(bench.binder, 'SELECT 1 FROM occ0.l.d WHERE "a b" = $x', {"x": 7})
    assert "= 7)" in str(binding.plan)


def test_an_engine_complaint_about_parameters_names_them(bench: Any) -> None:
    with pytest.raises(BadParameter) as refusal:
        bind(bench.binder, "SELECT $x, $y", {"x": 1})
    assert refusal.value.data["name"] == "y"


def test_optimisers_that_read_statistics_are_off(bench: Any) -> None:
    plan = str(bind(bench.binder, 'SELECT max("a b"), count(*) FROM occ0.l.d WHERE "a b" > 3').plan)
    assert "SEQ_SCAN" in plan
