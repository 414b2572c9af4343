"""What a kernel refuses: the gate before a user's statement, and the connection behind it."""

from __future__ import annotations

import duckdb
import pytest
from tests.unit.site.engine.conftest import Bench

from datacanal.site.engine.specification import ArrowSource, ParquetSource
from datacanal.testing.tasks import columns_of, statement_task, task_input


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM '/etc/passwd'",
        "COPY (SELECT 1) TO '/tmp/x.csv'",
        "WITH x AS (COPY (SELECT 1) TO '/tmp/x.csv') SELECT 1 AS n",
        "SELECT getenv('HOME') AS n",
        "SELECT * FROM duckdb_settings()",
        "SELECT * FROM duckdb_tables",
        "SELECT * FROM information_schema.tables",
        "SELECT * FROM (WITH duckdb_tables AS (SELECT 1 AS n) SELECT n FROM duckdb_tables) AS a, duckdb_tables",
        "SELECT * FROM datacanal_rows.main.occ0",
        "SELECT * FROM occ0.transactions.other",
        "SELECT * FROM occ1.transactions.payments",
        "SELECT * FROM transactions.payments",
        "SELECT * FROM query('SELECT 1')",
        "SET threads = 8",
        "SELECT 1 AS n; SELECT 2 AS n",
        "ATTACH ':memory:' AS x",
    ],
)
def test_a_users_statement_passes_the_gate_again_and_reads_its_own_inputs_only(sql: str, bench: Bench) -> None:
    path, _ = bench.keep("SELECT 1::BIGINT AS id")
    given = task_input(ArrowSource(path=str(path), shipped=columns_of({"id": "BIGINT"})), {"id": "BIGINT"})
    outcome = bench.failed(statement_task(sql, {"n": "BIGINT"}, bench.scratch / "out.arrow", [given]))
    assert outcome.problem.kind == "user"


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT count(*) AS n FROM read_text('/etc/passwd')",
        "SELECT count(*) AS n FROM read_text('/proc/self/environ')",
        "SELECT count(*) AS n FROM '/etc/passwd.csv'",
        "SELECT count(*) AS n FROM glob('/etc/*')",
    ],
)
def test_even_without_a_gate_the_connection_opens_nothing_outside(sql: str, bench: Bench) -> None:
    from tests.unit.site.engine.conftest import site_task

    outcome = bench.failed(site_task(sql, columns_of({"n": "BIGINT"}), bench.scratch / "out.arrow"))
    assert outcome.problem.code == "engine_failed"
    assert "Permission" in outcome.said


def test_a_type_that_is_more_than_a_type_never_reaches_the_engine(bench: Bench) -> None:
    hostile = "INTEGER) AS x, (SELECT 1"
    given = task_input(ParquetSource(files=[]), {"id": hostile})
    count = "SELECT count(*) AS n FROM occ0.transactions.payments"
    outcome = bench.failed(statement_task(count, {"n": "BIGINT"}, bench.scratch / "out.arrow", [given]))
    assert outcome.problem.code in ("run_invalid_input", "engine_failed", "sql_does_not_bind")


def test_no_connection_serves_two_tasks(bench: Bench) -> None:
    task = statement_task("SELECT 1 AS n", {"n": "INTEGER"}, bench.scratch / "out.arrow")
    bench.done(task)
    first = bench.kernel._connection
    bench.done(task)
    assert bench.kernel._connection is not first
    with pytest.raises(duckdb.ConnectionException):
        first.execute("SELECT 1")


def test_nothing_that_a_task_had_is_there_for_the_next(bench: Bench) -> None:
    given = task_input(ParquetSource(files=[]), {"id": "INTEGER"})
    count = "SELECT count(*) AS n FROM occ0.transactions.payments"
    bench.done(statement_task(count, {"n": "BIGINT"}, bench.scratch / "out.arrow", [given]))
    bench.done(statement_task("SELECT 1 AS n", {"n": "INTEGER"}, bench.scratch / "out.arrow"))
    catalogs = bench.kernel._connections._database.execute("SELECT database_name FROM duckdb_databases()").fetchall()
    assert {name for (name,) in catalogs} == {"memory", "system", "temp"}


def test_a_stock_of_connections_is_made_anew_when_it_is_used_up(bench: Bench) -> None:
    for number in range(70):
        task = statement_task(f"SELECT {number} AS n", {"n": "INTEGER"}, bench.scratch / "out.arrow")
        assert bench.done(task).rows == 1


def test_every_connection_of_the_stock_is_locked_and_without_replacement_scans(bench: Bench) -> None:
    for _ in range(3):
        bench.done(statement_task("SELECT 1 AS n", {"n": "INTEGER"}, bench.scratch / "out.arrow"))
        last = bench.kernel._connections._stock[-1]
        [settings] = last.execute(
            "SELECT current_setting('lock_configuration'), current_setting('python_enable_replacements'), "
            "current_setting('enable_external_access'), current_setting('TimeZone')"
        ).fetchall()
        assert settings == (True, False, False, "UTC")
