"""Two small lakes at two sites, the statements that must run over them and those that must be refused."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from datacanal.planning.catalogue import Catalogue, CataloguedDataset
from datacanal.planning.compiler import compile_statement
from datacanal.planning.duckdb_binder import DuckDBBinder
from datacanal.planning.instant import instant_statements
from datacanal.planning.rules import Rules
from datacanal.protocol.catalogue import ColumnStatistics, DatasetColumn
from datacanal.protocol.labels import Label, Origin, Owner
from datacanal.protocol.plan import Plan
from datacanal.testing.interpreter import Interpreter

NOW = "2026-03-04T05:06:07.800900+00:00"
SITES = {"transactions": "core", "users": "edge"}

_TABLES = '''
CREATE SCHEMA transactions;
CREATE SCHEMA users;
CREATE TABLE transactions.payments AS SELECT
    i::INTEGER AS payment_id,
    CASE WHEN i % 11 = 0 THEN NULL ELSE (i * 7 % 30)::INTEGER END AS account_id,
    CASE WHEN i % 13 = 0 THEN NULL ELSE ((i * 37) % 500 - 100)::DECIMAL(12, 2) / 4 END::DECIMAL(12, 2) AS amount,
    (DATE '2024-01-01' + (i % 40)::INTEGER) AS booked_at,
    ['card', 'cash', 'wire', NULL][i % 4 + 1] AS channel,
    CASE WHEN i % 9 = 0 THEN NULL ELSE i / 7.0 END::DOUBLE AS score,
    TIMESTAMP '2024-01-01 00:00:00' + to_hours(i::INTEGER) AS paid_at,
    [i, i + 1, NULL]::INTEGER[] AS tags,
    {'city': ['Brno', 'Praha', 'Ústí'][i % 3 + 1], 'n': i % 5}::STRUCT(city VARCHAR, n INTEGER) AS place,
    i % 2 = 0 AS settled
    FROM range(120) r(i);
CREATE TABLE transactions."order" AS SELECT
    i::BIGINT AS "select", (i % 4)::TINYINT AS "group by", 'o' || i AS "näme ""x""", i::HUGEINT * 10 AS big
    FROM range(12) r(i);
CREATE TABLE transactions.nothing AS SELECT 1::INTEGER AS a, 'x' AS b WHERE false;
CREATE TABLE users.people AS SELECT
    i::INTEGER AS account_id,
    'name ' || i AS name,
    ['gold', 'basic', NULL][i % 3 + 1]::ENUM('basic', 'gold') AS tier,
    CASE WHEN i % 5 = 0 THEN NULL ELSE DATE '1980-01-01' + (i * 100)::INTEGER END AS born,
    MAP {'k': i, 'm': i * 2} AS facts,
    (i * 1000)::BIGINT AS income
    FROM range(25) r(i)
    UNION ALL SELECT 3, 'double', 'gold'::ENUM('basic', 'gold'), NULL, MAP {}, 7;
CREATE TABLE users.rates AS SELECT
    ['card', 'cash', 'wire'][i % 3 + 1] AS channel, DATE '2024-01-01' + (i * 5)::INTEGER AS valid_from,
    (1 + i / 100.0)::DOUBLE AS rate FROM range(10) r(i);
'''


@dataclass
class Bench:
    """The planner, the interpreter and one DuckDB that holds everything."""

    catalogue: Catalogue
    binder: DuckDBBinder
    interpreter: Interpreter
    oracle: duckdb.DuckDBPyConnection

    def plan(self, sql: str, params: Mapping[str, Any] | None = None, rules: Rules | None = None) -> Plan:
        return compile_statement(sql, params or {}, self.catalogue, self.binder, NOW, rules or Rules())

    def answer(self, sql: str, params: Mapping[str, Any] | None = None) -> pa.Table:
        return self.interpreter.run(self.plan(sql, params))

    def expected(self, sql: str, params: Mapping[str, Any] | None = None) -> pa.Table:
        return self.oracle.sql(sql, params=dict(params) if params else None).to_arrow_table()


def dataset(database: duckdb.DuckDBPyConnection, lake: str, name: str) -> CataloguedDataset:
    quoted = f'{lake}."{name}"'
    rows = len(database.sql(f"FROM {quoted}").to_arrow_table())
    described = database.execute(f"DESCRIBE {quoted}").fetchall()
    statistics = ColumnStatistics(compressed_bytes=rows * 5 + 20, null_count=0, distinct_count=max(rows // 2, 1))
    columns = tuple(DatasetColumn(name=row[0], type=row[1], statistics=statistics) for row in described)
    return CataloguedDataset(lake, name, SITES[lake], f"snp_{name}", rows, rows * 50, columns)


_CLASSES = {
    ("transactions", "payments", "account_id"): "join_key",
    ("transactions", "payments", "amount"): "aggregate",
    ("transactions", "payments", "score"): "aggregate",
    ("users", "people", "account_id"): "join_key",
    ("users", "people", "name"): "secret",
    ("users", "people", "income"): "aggregate",
    ("users", "people", "born"): "masked",
}


def label_of(lake: str, name: str, column: str) -> Label:
    """What the policies of the governed bench say of a column."""
    cls: Any = _CLASSES.get((lake, name, column), "public")
    origins = []
    if cls in ("join_key", "secret"):
        origins = [Origin(lake=lake, dataset=name, column=column, policy_class=cls)]
    if cls == "aggregate":
        limits: dict[str, Any] = {"entity": "account_id", "min_group": 3, "max_share": 0.8, "buckets": ["10", "20"]}
        origins = [Origin(lake=lake, dataset=name, column=column, policy_class=cls, **limits)]
    return Label(policy_class=cls, owners=[Owner(lake=lake, dataset=name, policy="d" * 64)], origins=origins)


def governed_dataset(known: CataloguedDataset) -> CataloguedDataset:
    """The same behind its policy."""
    columns = [c.model_copy(update={"label": label_of(known.lake, known.name, c.name)}) for c in known.columns]
    return dataclasses.replace(known, columns=tuple(columns))


@pytest.fixture(scope="package")
def governed(bench: Bench) -> Bench:
    """The same lakes under policies: keys, aggregates with boundaries 10 and 20, a secret, a masked column."""
    datasets = tuple(map(governed_dataset, bench.catalogue.datasets))
    return dataclasses.replace(bench, catalogue=dataclasses.replace(bench.catalogue, datasets=datasets))


@pytest.fixture(scope="package")
def bench() -> Iterator[Bench]:
    database = duckdb.connect(config={"threads": 1})
    for statement in ("SET TimeZone = 'UTC'", "SET arrow_lossless_conversion = true", *instant_statements(NOW)):
        database.execute(statement)
    database.execute(_TABLES)
    database.execute("SET search_path = 'transactions,users'")
    listed = database.execute("SELECT schema_name, table_name FROM duckdb_tables() ORDER BY ALL").fetchall()
    lakes: dict[str, dict[str, Any]] = {}
    for lake, name in listed:
        lakes.setdefault(lake, {})[name] = database.sql(f'FROM {lake}."{name}"').to_arrow_table()
    catalogue = Catalogue(tuple(dataset(database, *each) for each in listed), frozenset(SITES.values()))
    binder = DuckDBBinder()
    interpreter = Interpreter(lakes, binder)
    yield Bench(catalogue, binder, interpreter, database)
    interpreter.close()
    binder.close()
    database.close()
