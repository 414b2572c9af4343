"""Row filters and masks in a kernel: a statement gives, and raises, what it would over the visible rows alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
from tests.unit.site.engine.conftest import Bench, describe, open_bench, read_stream

from datacanal.protocol.plan import PlanColumn
from datacanal.site.engine.governed_source import needs_barrier
from datacanal.site.engine.specification import MaskedColumn, Task, TaskInput, ViewRules
from datacanal.testing.tasks import NOW, parquet_source, task_input, write_parquet

TYPES = {
    "id": "BIGINT",
    "owner": "BIGINT",
    "status": "VARCHAR",
    "number": "VARCHAR",
    "amount": "INTEGER",
    "day": "DATE",
}
VISIBLE = """
    SELECT range AS id, range % 7 AS owner, 'ok' AS status, range::VARCHAR AS number, (range + 1)::INTEGER AS amount,
        DATE '2020-01-01' + (range % 90)::INTEGER AS day
    FROM range(3000)
"""
HIDDEN = """
    SELECT range * 3 AS id, range % 7 AS owner, 'test' AS status, 'Novak ' || range AS number, 0 AS amount,
        DATE '2020-01-01' AS day
    FROM range(1000)
"""
OF_TWO_COLUMNS = "status || owner <> 'test' || owner"
"""No scan can do it alone, so DuckDB has it and a statement's own conditions side by side."""
OTHERS = ["status <> 'test'", "(amount > 0) AND (length(status) = 2)", "status IN ('ok', 'fine')"]
T = "occ0.t.p"
U = "occ1.t.p"
STATEMENTS = [
    f"SELECT count(*) AS c FROM {T}",
    f"SELECT sum(amount)::BIGINT AS c FROM {T} WHERE id BETWEEN 10 AND 20",
    # What raises over hidden rows only.
    f"SELECT sum(CAST(number AS BIGINT))::BIGINT AS c FROM {T}",
    f"SELECT count(*) AS c FROM {T} WHERE CAST(number AS BIGINT) > 5",
    f"SELECT count(*) AS c FROM {T} WHERE CAST(number AS BIGINT) > 5 AND id > 7 AND status LIKE 'o%'",
    f"SELECT count(*) AS c FROM {T} WHERE 100 // amount > 3",
    f"SELECT count(*) AS c FROM {T} WHERE CASE WHEN status = 'test' THEN error(number) ELSE true END",
    f"SELECT count(*) AS c FROM {T} WHERE error(CASE WHEN status = 'test' THEN number END) IS NULL",
    f"SELECT count(*) AS c FROM {T} WHERE strptime(number, '%d') IS NOT NULL OR true",
    f"SELECT count(*) AS c FROM (SELECT CAST(number AS BIGINT) AS n, status FROM {T}) WHERE n > 5 AND status = 'ok'",
    f"SELECT n AS c FROM (SELECT CAST(number AS BIGINT) AS n, id FROM {T}) WHERE n >= 0 ORDER BY id LIMIT 3",
    f"SELECT CAST(number AS BIGINT) AS c FROM {T} ORDER BY id DESC LIMIT 3",
    f"SELECT CAST(number AS BIGINT) AS c FROM {T} ORDER BY CAST(number AS BIGINT), id LIMIT 3",
    f"SELECT id AS c FROM {T} WHERE CAST(number AS BIGINT) > 17 ORDER BY id LIMIT 3",
    f"SELECT DISTINCT CAST(number AS BIGINT) % 3 AS c FROM {T} ORDER BY c",
    f"SELECT CAST(number AS BIGINT) % 5 AS c FROM {T} GROUP BY CAST(number AS BIGINT) % 5 "
    "HAVING CAST(number AS BIGINT) % 5 > 1 ORDER BY c",
    f"SELECT max(CAST(number AS BIGINT)) OVER (PARTITION BY 10 // amount) AS c FROM {T} ORDER BY id LIMIT 2",
    f"SELECT c FROM (SELECT 10 // amount AS k, row_number() OVER (PARTITION BY 10 // amount ORDER BY id) AS c FROM {T})"
    " WHERE k = 1 ORDER BY c LIMIT 2",
    # Joins: the hidden rows have partners.
    f"SELECT count(*) AS c FROM {T} a JOIN {U} b ON a.id = b.id WHERE CAST(a.number AS BIGINT) >= 0",
    f"SELECT count(*) AS c FROM {T} a JOIN {U} b ON CAST(a.number AS BIGINT) = b.id",
    f"SELECT count(*) AS c FROM {T} a JOIN {U} b ON a.id = b.id AND 10 // a.amount <= b.id",
    f"SELECT count(b.id) AS c FROM {U} a LEFT JOIN {T} b ON a.id = b.id AND CAST(b.number AS BIGINT) > 2",
    f"SELECT count(*) AS c FROM {U} a LEFT JOIN {T} b ON a.id = b.id WHERE CAST(b.number AS BIGINT) > 2",
    f"SELECT count(*) AS c FROM {T} a FULL JOIN {U} b ON a.id = b.id AND CAST(a.number AS BIGINT) = b.id",
    f"SELECT count(*) AS c FROM {T} a RIGHT JOIN {U} b ON a.id = b.id WHERE a.number IS NULL",
    f"SELECT count(*) AS c FROM {U} a WHERE EXISTS (SELECT 1 FROM {T} b WHERE b.id = a.id AND 5 // b.amount >= 0)",
    f"SELECT count(*) AS c FROM {U} a WHERE NOT EXISTS (SELECT 1 FROM {T} b WHERE CAST(b.number AS BIGINT) = a.id)",
    f"SELECT count(*) AS c FROM {U} WHERE id IN (SELECT CAST(number AS BIGINT) FROM {T} WHERE owner = 3)",
    f"SELECT count(*) AS c FROM {U} WHERE id > ALL (SELECT CAST(number AS BIGINT) FROM {T} WHERE id < 9)",
    f"SELECT count(*) AS c FROM {U} a WHERE id ="
    f" (SELECT max(CAST(number AS BIGINT)) FROM {T} b WHERE b.owner = a.owner)",
    f"SELECT count(*) AS c FROM {U} a, LATERAL (SELECT CAST(number AS BIGINT) n FROM {T} b WHERE b.id = a.id)"
    " WHERE n > 1",
    f"SELECT count(*) AS c FROM {T} a JOIN (SELECT range * 300 AS k FROM range(5)) s ON a.id = s.k"
    " WHERE 10 // a.amount >= 0",
    f"SELECT count(*) AS c FROM {T} a POSITIONAL JOIN {U} b WHERE CAST(a.number AS BIGINT) > 1",
    f"SELECT count(*) AS c FROM {T} a ASOF JOIN {U} b ON a.owner = b.owner AND a.id >= b.id"
    " WHERE CAST(b.number AS BIGINT) >= 0",
    # Set operations and common table expressions.
    f"SELECT count(*) AS c FROM (SELECT CAST(number AS BIGINT) AS n FROM {T} UNION ALL SELECT id FROM {U}) WHERE n > 4",
    f"SELECT count(*) AS c FROM (SELECT CAST(number AS BIGINT) AS n FROM {T} EXCEPT SELECT owner FROM {U})",
    f"WITH w AS MATERIALIZED (SELECT * FROM {T}) SELECT count(*) AS c FROM w WHERE CAST(number AS BIGINT) > 4",
    f"WITH w AS (SELECT * FROM {T}) SELECT count(*) AS c FROM w a JOIN w b ON a.id = b.id WHERE 10 // b.amount >= 0",
    f"WITH RECURSIVE r(n) AS (SELECT 0::BIGINT UNION ALL SELECT CAST(p.number AS BIGINT) + 1 FROM r JOIN {T} p"
    " ON p.id = r.n WHERE r.n < 5) SELECT count(*) AS c FROM r",
    # Statistics and the shortest ways to an answer.
    f"SELECT min(number) AS c FROM {T}",
    f"SELECT max(id) AS c FROM {T} WHERE status <> 'ok'",
    f"SELECT approx_count_distinct(status) AS c FROM {T}",
    f"SELECT count(*) AS c FROM {T} WHERE status = 'test'",
    f"SELECT status AS c FROM {T} GROUP BY status",
    f"SELECT count(number) FILTER (WHERE CAST(number AS BIGINT) > 3) AS c FROM {T}",
]


class House:
    """A lake of visible and hidden rows mixed, and a table of the visible ones alone as the oracle."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        mixed = f"SELECT * FROM (FROM ({VISIBLE}) UNION ALL FROM ({HIDDEN})) ORDER BY id, status"
        self.files = [
            write_parquet(bench.lake / "p" / f"{number}.parquet", f"SELECT * FROM ({mixed}) WHERE id % 2 = {number}")
            for number in range(2)
        ]
        self.oracle = duckdb.connect()
        for occurrence in ("occ0", "occ1"):
            self.oracle.execute(f"ATTACH ':memory:' AS {occurrence}; CREATE SCHEMA {occurrence}.t")
            self.oracle.execute(f"CREATE TABLE {occurrence}.t.p AS {VISIBLE}")

    def inputs(self, rows: str) -> list[TaskInput]:
        source = parquet_source(self.files)
        rules = ViewRules(rows=rows)
        given = [task_input(source, TYPES, occurrence, "t", "p") for occurrence in ("occ0", "occ1")]
        return [one.model_copy(update={"rules": rules}) for one in given]

    def task(self, sql: str, rows: str) -> Task:
        relation = self.oracle.sql(sql)
        columns = [
            PlanColumn(name=name, type=str(kind)) for name, kind in zip(relation.columns, relation.types, strict=True)
        ]
        output = str(self.bench.scratch / "out.arrow")
        return Task(id="task", sql=sql, now=NOW, inputs=self.inputs(rows), columns=columns, output=output)

    def rows(self, sql: str, rows: str) -> list[Any]:
        self.bench.done(self.task(sql, rows))
        found: list[Any] = read_stream(self.bench.scratch / "out.arrow").column(0).to_pylist()
        return found

    def expected(self, sql: str) -> list[Any]:
        return [row[0] for row in self.oracle.execute(sql).fetchall()]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with open_bench(tmp_path_factory.mktemp("governed")) as bench:
        yield House(bench)


@pytest.mark.parametrize("sql", STATEMENTS)
def test_hidden_rows_neither_answer_nor_raise(house: House, sql: str) -> None:
    assert house.rows(sql, OF_TWO_COLUMNS) == house.expected(sql)


@pytest.mark.parametrize("rows", OTHERS)
def test_whatever_the_row_filter_a_join_never_raises_over_hidden_rows(house: House, rows: str) -> None:
    sql = f"SELECT count(*) AS c FROM {T} a JOIN {U} b ON a.id = b.id WHERE CAST(a.number AS BIGINT) >= 0"
    assert house.rows(sql, rows) == house.expected(sql)


@pytest.mark.parametrize(
    ("sql", "barrier"),
    [
        (f"SELECT sum(amount * 2) AS c FROM {T} WHERE id BETWEEN 10 AND 20 AND day >= DATE '2020-01-05'", False),
        (f"SELECT a.id AS c FROM {T} a JOIN {U} b ON a.id = b.id WHERE a.status LIKE 'o%' ORDER BY 1 LIMIT 3", False),
        (f"SELECT CAST(number AS BIGINT) AS c FROM {T} WHERE id = 4", False),
        (f"SELECT status AS c FROM {T} GROUP BY status HAVING count(*) > 2", False),
        (f"SELECT count(*) AS c FROM (SELECT 10 // amount AS n FROM {T}) WHERE n > 1", True),
        (f"SELECT count(*) AS c FROM {T} GROUP BY 10 // amount HAVING 10 // amount > 1", True),
        (f"SELECT count(*) AS c FROM {T} a JOIN {U} b ON a.id = CAST(b.number AS BIGINT)", True),
    ],
)
def test_only_what_could_raise_over_a_hidden_row_pays_for_a_barrier(house: House, sql: str, barrier: bool) -> None:
    task = house.task(sql, "status <> 'test'")
    with duckdb.connect() as connection:
        assert needs_barrier(connection, task) is barrier


def test_a_filter_that_nothing_passes_leaves_an_empty_dataset(house: House) -> None:
    assert house.rows(f"SELECT count(*) AS c FROM {T} WHERE CAST(number AS BIGINT) > 0", "false") == [0]


# ---------------------------------------------------------------- masks

KEY = "0b" * 32


def masked_input(files: list[Path], masks: dict[str, tuple[str, str, str]], rows: str | None = None) -> TaskInput:
    """`masks` maps columns to mask, raw type and type behind the mask; every other column keeps its type."""
    types = TYPES | {name: seen for name, (_, _, seen) in masks.items()}
    rules = ViewRules(
        rows=rows,
        masks={name: MaskedColumn(mask=mask, raw_type=raw) for name, (mask, raw, _) in masks.items()},
        mask_key=KEY,
    )
    return task_input(parquet_source(files), types, "occ0", "t", "p").model_copy(update={"rules": rules})


def run(house: House, given: TaskInput, sql: str, kind: str) -> list[Any]:
    output = str(house.bench.scratch / "out.arrow")
    columns = [PlanColumn(name="c", type=kind)]
    house.bench.done(Task(id="task", sql=sql, now=NOW, inputs=[given], columns=columns, output=output))
    found: list[Any] = read_stream(house.bench.scratch / "out.arrow").column(0).to_pylist()
    return found


def test_statements_see_masks_and_row_filters_see_values(house: House) -> None:
    masks = {"day": ("year", "DATE", "BIGINT"), "status": ("prefix(1)", "VARCHAR", "VARCHAR")}
    given = masked_input(house.files, masks, "status <> 'test' AND day < DATE '2020-01-03'")
    assert run(house, given, f"SELECT DISTINCT day AS c FROM {T}", "BIGINT") == [2020]
    assert run(house, given, f"SELECT DISTINCT status AS c FROM {T}", "VARCHAR") == ["o"]
    assert run(house, given, f"SELECT count(*) AS c FROM {T} WHERE day > 2020 OR status = 'ok'", "BIGINT") == [0]
    assert run(house, given, f"SELECT count(*) AS c FROM {T} WHERE day = 2020", "BIGINT") == house.expected(
        f"SELECT count(*) FROM {T} WHERE day < DATE '2020-01-03'"
    )


def test_partition_columns_are_masked_and_filtered_too(bench: Bench) -> None:
    files = [
        write_parquet(bench.lake / "p" / f"year={year}" / "1.parquet", f"SELECT {year} AS id") for year in (2019, 2024)
    ]
    rules = ViewRules(rows='"year" > 2020', masks={"year": MaskedColumn(mask="bucket(10)", raw_type="BIGINT")})
    source = parquet_source(files, {"year": "BIGINT"})
    given = task_input(source, {"id": "INTEGER", "year": "BIGINT"}, "occ0", "t", "p")
    output = bench.scratch / "out.arrow"
    sql = f"SELECT id, year FROM {T}"
    task = Task(
        id="task", sql=sql, now=NOW, inputs=[given.model_copy(update={"rules": rules})], columns=given.columns,
        output=str(output),
    )  # fmt: skip
    bench.done(task)
    assert read_stream(output).to_pylist() == [{"id": 2024, "year": 2020}]


def test_a_dataset_without_files_keeps_its_masked_types(bench: Bench) -> None:
    given = masked_input([], {"day": ("year", "DATE", "BIGINT")}, "status <> 'test'")
    sql = f"SELECT day AS c FROM {T}"
    output = str(bench.scratch / "out.arrow")
    bench.done(
        Task(id="task", sql=sql, now=NOW, inputs=[given], columns=describe("SELECT 1::BIGINT AS c"), output=output)
    )
    assert read_stream(bench.scratch / "out.arrow").num_rows == 0
