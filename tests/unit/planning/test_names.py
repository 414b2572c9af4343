"""Names of tables: common table expressions shadow datasets exactly where DuckDB says so."""

from __future__ import annotations

import dataclasses
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from datacanal.domain.errors import (
    AmbiguousDataset,
    ConstructNotAllowed,
    DatacanalError,
    DatasetNotFound,
    DatasetUnreadable,
    NotAReader,
)
from datacanal.planning.catalogue import Catalogue, CataloguedDataset
from datacanal.planning.compiler import compile_statement
from datacanal.planning.names import check_inputs, resolve
from datacanal.protocol.catalogue import DatasetColumn
from datacanal.testing.interpreter import Interpreter

NOW = "2026-01-01T00:00:00+00:00"

SCOPES = [
    "WITH x AS (SELECT * FROM x) FROM x",
    "WITH y AS (FROM x), x AS (SELECT 'cte' AS v) FROM y",
    "WITH x AS (SELECT 'cte' AS v), y AS (FROM x) FROM y",
    "WITH RECURSIVE x AS (FROM x) FROM x",
    "WITH RECURSIVE x AS (SELECT v FROM x UNION ALL SELECT v || '1' FROM x WHERE length(v) < 4) FROM x",
    "WITH x AS (SELECT 'a' AS v) SELECT * FROM (WITH x AS (FROM x) FROM x)",
    "WITH x AS (SELECT 'a' AS v) SELECT a.v, x.v FROM (WITH x AS (SELECT 'b' AS v) FROM x) a, x",
    "WITH x AS (SELECT 'a' AS v) SELECT (SELECT v FROM x), (WITH x AS (SELECT 'c' AS v) SELECT v FROM x)",
    "WITH x AS (SELECT 'a' AS v) FROM l.x",
    "WITH X AS (SELECT 'a' AS v) FROM x",
    "WITH \"x\" AS (SELECT 'a' AS v) FROM X",
    "WITH x AS (SELECT 'a' AS v) (FROM x) UNION ALL (WITH x AS (SELECT 'b' AS v) FROM x)",
    "WITH y AS (WITH x AS (SELECT 'i' AS v) FROM x) SELECT y.v, x.v FROM y, x",
    "WITH x AS (SELECT 'a' AS v) SELECT v FROM y ORDER BY (SELECT v FROM x)",
    "(WITH x AS (SELECT 'a' AS v) FROM x) UNION ALL FROM x",
    "WITH RECURSIVE y AS (SELECT 'a' AS v UNION ALL SELECT y.v || x.v FROM y, x WHERE length(y.v) < 4) FROM y",
    "WITH RECURSIVE y AS (SELECT v FROM y UNION ALL SELECT v FROM x) FROM y",
    "WITH x AS (SELECT 'a' AS v), y AS (WITH RECURSIVE x AS (SELECT v FROM x UNION ALL SELECT v || 'z' FROM x "
    "WHERE length(v) < 3) FROM x) FROM y",
    "WITH RECURSIVE y AS (SELECT 'q' AS v), x AS (FROM y) FROM x",
    "WITH RECURSIVE x AS (FROM y), y AS (SELECT 'q' AS v) FROM x",
    "WITH x AS (SELECT 'a' AS v) SELECT * FROM x t(q), LATERAL (SELECT t.q || x.v FROM x)",
    "WITH x AS (SELECT 'a' AS v) FROM y WHERE EXISTS (FROM x WHERE v = 'a')",
    "WITH RECURSIVE x AS (SELECT 'a' AS v UNION (SELECT * FROM (WITH x AS (SELECT 'b' AS v) FROM x))) FROM x",
    "WITH RECURSIVE r(n) USING KEY (n) AS (SELECT 1 UNION SELECT n + 1 FROM recurring.r WHERE n < 3) FROM r",
    "WITH RECURSIVE x AS (SELECT 'a' AS v UNION ALL SELECT w.v || 'b' FROM (FROM x) w WHERE length(w.v) < 3) FROM x",
    "WITH RECURSIVE x AS (SELECT 'a' AS v UNION ALL (WITH z AS (FROM x) SELECT v || 'b' FROM z WHERE length(v) < 3)) "
    "FROM x",
    "WITH RECURSIVE x AS (WITH z AS (FROM x) SELECT v FROM z UNION ALL SELECT v || 'b' FROM x WHERE length(v) < 4) "
    "FROM x",
    "WITH x AS (SELECT 'a' AS v) PIVOT x ON v IN ('a') USING count(*)",
    "SELECT count(*) FROM x, x",
    "SELECT count(*) FROM l.x, x",
    "SELECT count(*) FROM x, (FROM x) AS x",
    "SELECT x.v FROM x, (SELECT 1) AS z(v)",
    "FROM x, y, x",
    "SELECT l.x.v FROM l.x JOIN l.x USING (v)",
    "SELECT a.v FROM x a, x a",
    "SELECT l.x.v FROM x WHERE EXISTS (SELECT 1 FROM x WHERE l.x.v = 'lx')",
    "WITH x AS (SELECT 'a' AS v) FROM main.x",
]


@pytest.fixture(scope="module")
def lake() -> duckdb.DuckDBPyConnection:
    database = duckdb.connect()
    database.execute("CREATE SCHEMA l; CREATE TABLE l.x AS SELECT 'lx' AS v; CREATE TABLE l.y AS SELECT 'ly' AS v")
    database.execute("SET search_path = 'l'")
    return database


def one(lake: str, name: str, problem: str | None = None) -> CataloguedDataset:
    columns = (DatasetColumn(name="v", type="VARCHAR"),)
    return CataloguedDataset(lake, name, "core", "snp_1", 1, 10, columns, problem)


@pytest.mark.parametrize("sql", SCOPES)
def test_a_name_means_what_it_means_to_duckdb(lake: duckdb.DuckDBPyConnection, bench: Any, sql: str) -> None:
    try:
        expected: pa.Table | None = lake.sql(sql).to_arrow_table()
    except duckdb.Error:
        expected = None
    tables = {name: pa.table({"v": [f"l{name}"]}) for name in "xy"}
    catalogue = Catalogue((one("l", "x"), one("l", "y")), frozenset({"core"}))
    if expected is None:
        with pytest.raises(DatacanalError):
            compile_statement(sql, {}, catalogue, bench.binder, NOW)
        return
    plan = compile_statement(sql, {}, catalogue, bench.binder, NOW)
    answer = Interpreter({"l": tables}, bench.binder).run(plan)
    assert sorted(map(str, answer.to_pylist())) == sorted(map(str, expected.to_pylist()))


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT v FROM products.bank.bars",
        "SELECT bars.v FROM Products.Bank.bars",
        "SELECT b.v FROM products.bank.bars AS b",
        'SELECT v FROM products."bank.bars"',
        "SELECT x.v FROM products.bank.bars x JOIN products.bank.bars y USING (v)",
        "SELECT bars.v FROM products.bank.bars, l.x WHERE l.x.v = 'lx'",
    ],
)
def test_a_product_is_written_with_its_publisher(bench: Any, sql: str) -> None:
    catalogue = Catalogue((one("products", "bank.bars"), one("l", "x")), frozenset({"core"}))
    plan = compile_statement(sql, {}, catalogue, bench.binder, NOW)
    tables = {"products": {"bank.bars": pa.table({"v": ["p"]})}, "l": {"x": pa.table({"v": ["lx"]})}}
    assert Interpreter(tables, bench.binder).run(plan).to_pylist() == [{"v": "p"}]


@pytest.mark.parametrize("name", ["other.bank.bars", "products.bank.bars.more"])
def test_three_parts_are_for_products_alone(bench: Any, name: str) -> None:
    catalogue = Catalogue((one("products", "bank.bars"), one("other", "bank.bars")))
    with pytest.raises(ConstructNotAllowed, match=r"products\.publisher\.name|table name"):
        resolve(bench.binder.parse(f"FROM {name}"), catalogue)


def test_an_unknown_product_hints_at_a_near_one(bench: Any) -> None:
    with pytest.raises(DatasetNotFound) as refusal:
        resolve(bench.binder.parse("FROM products.bank.bar"), Catalogue((one("products", "bank.bars"),)))
    assert "products.bank.bars" in refusal.value.remedy


def test_a_bare_name_in_two_lakes_is_ambiguous(bench: Any) -> None:
    catalogue = Catalogue((one("a", "t"), one("b", "T")))
    with pytest.raises(AmbiguousDataset) as refusal:
        resolve(bench.binder.parse("FROM t"), catalogue)
    assert refusal.value.data["candidates"] == "a.t, b.T"


def test_an_unknown_name_hints_at_no_more_than_three_near_ones(bench: Any) -> None:
    catalogue = Catalogue(tuple(one("lake", f"payment{number}") for number in range(6)))
    with pytest.raises(DatasetNotFound) as refusal:
        resolve(bench.binder.parse("FROM lake.payment"), catalogue)
    assert refusal.value.remedy.count("lake.payment") == 3


def test_an_unreadable_dataset_says_why(bench: Any) -> None:
    with pytest.raises(DatasetUnreadable) as refusal:
        resolve(bench.binder.parse("FROM t"), Catalogue((one("a", "t", "p.parquet is cut short"),)))
    assert "p.parquet is cut short" in refusal.value.detail


def test_occurrences_are_numbered_in_the_order_of_the_text(bench: Any) -> None:
    catalogue = Catalogue((one("a", "t"), one("a", "u")))
    tree = bench.binder.parse("SELECT (SELECT max(v) FROM u) FROM t x, t y WHERE EXISTS (FROM u)")
    found = resolve(tree, catalogue)
    assert [(each.name, each.dataset.name) for each in found] == [
        ("occ0", "u"),
        ("occ1", "t"),
        ("occ2", "t"),
        ("occ3", "u"),
    ]


def test_a_site_refuses_a_step_that_names_more_than_its_inputs(bench: Any) -> None:
    tree = bench.binder.parse("WITH c AS (FROM occ0.l.x) FROM c, occ1.l.x")
    check_inputs(tree, {("occ0", "l", "x"), ("occ1", "l", "x")})
    with pytest.raises(DatasetNotFound):
        check_inputs(tree, {("occ0", "l", "x")})


def test_a_dataset_that_the_submitter_may_not_read_is_refused_with_the_reason(bench: Any) -> None:
    closed = dataclasses.replace(one("l", "x"), closed="only group:risk may")
    catalogue = Catalogue((closed,), principal="ana")
    with pytest.raises(NotAReader) as refusal:
        resolve(bench.binder.parse("FROM x"), catalogue)
    assert (refusal.value.data["principal"], refusal.value.data["dataset"]) == ("ana", "l.x")
