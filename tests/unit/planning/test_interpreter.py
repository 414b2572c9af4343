"""The interpreter of plans holds steps to their inputs and to what the plan promised."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from datacanal.domain.errors import DatasetNotFound, FunctionNotAllowed
from datacanal.planning.catalogue import Catalogue, CataloguedDataset
from datacanal.planning.compiler import compile_statement
from datacanal.protocol.catalogue import DatasetColumn
from datacanal.protocol.plan import Plan
from datacanal.testing.interpreter import Interpreter

NOW = "2026-03-04T05:06:07+00:00"


def with_query(plan: Plan, sql: str) -> Plan:
    steps = [step.model_copy(update={"sql": sql}) if step.kind == "query" else step for step in plan.steps]
    return plan.model_copy(update={"steps": steps})


def test_columns_that_were_not_shipped_read_as_null(bench: Any) -> None:
    plan = bench.plan("SELECT p.payment_id, q.account_id FROM payments p JOIN people q USING (account_id)")
    spied = with_query(plan, "SELECT count(name) AS payment_id, count(*) AS account_id FROM occ1.users.people")
    with pytest.raises(AssertionError, match="planned were"):
        bench.interpreter.run(spied)


def test_a_step_cannot_name_what_is_not_its_input(bench: Any) -> None:
    plan = bench.plan("SELECT payment_id FROM payments")
    for sql in ("FROM temp.main.source_0", "FROM occ1.users.people", "FROM people"):
        with pytest.raises(DatasetNotFound):
            bench.interpreter.run(with_query(plan, sql))


def test_a_step_passes_the_gate_again(bench: Any) -> None:
    with pytest.raises(FunctionNotAllowed):
        bench.interpreter.run(with_query(bench.plan("SELECT 1"), "SELECT getenv('HOME')"))


def test_a_failed_step_leaves_nothing_attached(bench: Any) -> None:
    plan = bench.plan("SELECT error('x') FROM people")
    for _ in range(2):
        with pytest.raises(duckdb.Error):
            bench.interpreter.run(plan)
    assert bench.answer("SELECT count(*) AS n FROM people").to_pylist() == [{"n": 26}]


def test_every_step_has_its_output(bench: Any) -> None:
    plan = bench.plan("SELECT count(*) FROM people, payments")
    outputs = bench.interpreter.run_steps(plan)
    assert outputs["scan_occ0"].to_pylist() == [{"rows": 26}]
    assert outputs["query"].to_pylist() == [{"count_star()": 26 * 120}]


def test_datasets_may_be_tables_relations_or_parquet_files(bench: Any, tmp_path: Path) -> None:
    table = pa.table({"a": [1, 2]})
    pq.write_table(table, tmp_path / "it's.parquet")
    lake = {
        "tab": table,
        "rel": duckdb.connect().sql("SELECT 3 AS a"),
        "file": tmp_path / "it's.parquet",
        "files": str(tmp_path / "*.parquet"),
    }
    columns = (DatasetColumn(name="a", type="BIGINT"),)
    catalogue = Catalogue(tuple(CataloguedDataset("l", name, "core", "s", 2, 9, columns) for name in lake))
    interpreter = Interpreter({"l": lake}, bench.binder)
    sql = "SELECT sum(a)::INTEGER AS s FROM (FROM tab UNION ALL FROM rel UNION ALL FROM file UNION ALL FROM files)"
    plan = compile_statement(sql, {}, catalogue, bench.binder, NOW)
    assert interpreter.run(plan).to_pylist() == [{"s": 12}]
    interpreter.close()


def test_a_chain_that_prints_as_deep_nesting_still_runs(bench: Any) -> None:
    chain = " + ".join(["account_id"] * 230)
    assert bench.answer(f"SELECT max({chain}) AS m FROM people SEMI JOIN payments USING (account_id)").num_rows == 1
