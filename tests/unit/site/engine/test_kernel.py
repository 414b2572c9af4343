"""One task on one connection: inputs, statement, output, and every way in which it can fail."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.unit.site.engine.conftest import Bench, read_stream

from datacanal.protocol.plan import PlanColumn
from datacanal.site.engine.specification import ArrowSource, CountSource, ParquetSource, Task, TaskInput
from datacanal.site.engine.work import Work
from datacanal.testing.tasks import columns_of, parquet_source, statement_task, task_input, write_parquet

PAYMENTS = {"id": "BIGINT", "memo": "VARCHAR"}
ROWS = "SELECT range AS id, 'memo ' || range AS memo FROM range(1000)"


def payments(bench: Bench, name: str = "payments/a.parquet", rows: str = ROWS) -> Path:
    return write_parquet(bench.lake / name, rows)


def count_of(bench: Bench, source: ParquetSource | ArrowSource | CountSource, types: Mapping[str, str]) -> Task:
    return statement_task(
        "SELECT count(*) AS n FROM occ0.transactions.payments",
        {"n": "BIGINT"},
        bench.scratch / "out.arrow",
        [task_input(source, types)],
    )


def select(
    bench: Bench, sql: str, columns: Mapping[str, str], inputs: Sequence[TaskInput] = (), **more: Any
) -> list[dict[str, Any]]:
    task = statement_task(sql, columns, bench.scratch / "out.arrow", inputs)
    bench.done(task.model_copy(update=more))
    rows: list[dict[str, Any]] = read_stream(bench.scratch / "out.arrow").to_pylist()
    return rows


# ---------------------------------------------------------------- the way through


def test_a_task_reads_parquet_and_tells_what_it_wrote(bench: Bench) -> None:
    task = statement_task(
        "SELECT sum(id) AS total FROM occ0.transactions.payments WHERE memo <> 'memo 1'",
        {"total": "HUGEINT"},
        bench.scratch / "out.arrow",
        [task_input(parquet_source([payments(bench)]), PAYMENTS)],
    )
    done = bench.done(task)
    content = (bench.scratch / "out.arrow").read_bytes()
    import hashlib

    assert (done.rows, done.bytes, done.digest) == (1, len(content), hashlib.sha256(content).hexdigest())
    assert done.scanned_bytes > 1000
    assert [path.name for path in bench.scratch.iterdir()] == ["out.arrow"]


def test_the_output_tells_each_columns_duckdb_type(bench: Bench) -> None:
    select(bench, "SELECT 1::HUGEINT AS h, 'x' AS s", {"h": "HUGEINT", "s": "VARCHAR"})
    schema = read_stream(bench.scratch / "out.arrow").schema
    assert [field.metadata[b"datacanal.type"] for field in schema] == [b"HUGEINT", b"VARCHAR"]


def test_parameters_are_bound_and_the_clock_stands_still(bench: Bench) -> None:
    [row] = select(
        bench,
        "SELECT $who AS who, $many AS many, CAST(now() AS VARCHAR) AS moment, CAST(current_date AS VARCHAR) AS day",
        {"who": "VARCHAR", "many": "INTEGER[]", "moment": "VARCHAR", "day": "VARCHAR"},
        params={"WHO": "it's", "many": [1, 2]},
    )
    assert row == {"who": "it's", "many": [1, 2], "moment": "2024-05-06 07:08:09+00", "day": "2024-05-06"}


def test_column_names_may_repeat(bench: Bench) -> None:
    task = statement_task("SELECT 1 AS a, 2 AS a", {"a": "INTEGER"}, bench.scratch / "out.arrow")
    task = task.model_copy(update={"columns": [PlanColumn(name="a", type="INTEGER")] * 2})
    bench.done(task)
    assert read_stream(bench.scratch / "out.arrow").schema.names == ["a", "a"]


@pytest.mark.parametrize("output_format", ["parquet", "json", "csv", "arrow"])
def test_repeated_and_empty_names_survive_an_export(output_format: Any, bench: Bench) -> None:
    from tests.unit.site.engine.conftest import export_of

    kept, columns = bench.keep("SELECT 1 AS a, 2 AS a, 3 AS b, 4 AS a_1")
    names = ["a", "a", "", "a_1"]
    columns = [column.model_copy(update={"name": name}) for column, name in zip(columns, names, strict=True)]
    bench.done(export_of(kept, columns, bench.scratch / "out", output_format))
    text = (bench.scratch / "out").read_bytes()
    match output_format:
        case "parquet":
            assert pq.read_schema(bench.scratch / "out").names == ["a", "a_2", "", "a_1"]
        case "json":
            assert text == b'[\n{"a":1,"a_2":2,"":3,"a_1":4}\n]\n'
        case "csv":
            assert text == b'"a","a","","a_1"\n1,2,3,4\n'
        case "arrow":
            assert read_stream(bench.scratch / "out").schema.names == names


def test_rows_keep_the_order_of_the_statement(bench: Bench) -> None:
    rows = select(bench, "SELECT range AS i FROM range(300000) ORDER BY range % 7, range DESC", {"i": "BIGINT"})
    assert [row["i"] for row in rows] == sorted(range(300000), key=lambda i: (i % 7, -i))


@pytest.mark.parametrize("output_format", ["json", "csv"])
def test_an_empty_result_is_a_whole_file(output_format: Any, bench: Bench) -> None:
    path = bench.export("SELECT 1 AS a WHERE false", output_format)
    assert path.read_text() == {"json": "[]\n", "csv": '"a"\n'}[output_format]


# ---------------------------------------------------------------- inputs


def test_partition_values_come_from_folders_and_added_columns_are_null_before(bench: Bench) -> None:
    first = payments(bench, "payments/year=2023/é%20=ü/a.parquet", "SELECT 1 AS id")
    second = payments(bench, "payments/year=2024/é%20=ü/a.parquet", "SELECT 2 AS id, 'x' AS memo")
    given = task_input(
        parquet_source([first, second], {"year": "BIGINT"}), {"id": "BIGINT", "memo": "VARCHAR", "year": "BIGINT"}
    )
    rows = select(
        bench,
        "SELECT * FROM occ0.transactions.payments ORDER BY id",
        {"id": "BIGINT", "memo": "VARCHAR", "year": "BIGINT"},
        [given],
    )
    assert rows == [{"id": 1, "memo": None, "year": 2023}, {"id": 2, "memo": "x", "year": 2024}]


@pytest.mark.parametrize("above", ["id=9", "year=1999", "ID=9/year=1"])
def test_a_lakes_own_path_may_look_like_a_partition(above: str, bench: Bench) -> None:
    paths = [
        payments(bench, f"{above}/payments/year={year}/a.parquet", "SELECT 1 AS id")
        for year in ("2023", "__HIVE_DEFAULT_PARTITION__")
    ]
    given = task_input(parquet_source(paths, {"year": "BIGINT"}), {"id": "BIGINT", "year": "BIGINT"})
    rows = select(
        bench,
        "SELECT * FROM occ0.transactions.payments ORDER BY year",
        {"id": "BIGINT", "year": "BIGINT"},
        [given],
    )
    assert rows == [{"id": 1, "year": 2023}, {"id": 1, "year": None}]


@pytest.mark.parametrize("name", ["a[1].parquet", "b*?.parquet", "it's.parquet", "日本 {x,y}.parquet"])
def test_a_files_name_is_only_a_name(name: str, bench: Bench) -> None:
    path = payments(bench, "payments/plain.parquet")
    path = path.rename(path.with_name(name))
    bench.done(count_of(bench, parquet_source([path]), PAYMENTS))


def test_a_dataset_without_files_is_an_empty_table(bench: Bench) -> None:
    rows = select(
        bench,
        "SELECT count(*) AS n, max(memo) AS m FROM occ0.transactions.payments",
        {"n": "BIGINT", "m": "VARCHAR"},
        [task_input(ParquetSource(files=[]), PAYMENTS)],
    )
    assert rows == [{"n": 0, "m": None}]


def test_a_transfer_can_be_read_often_and_what_was_not_shipped_is_null(bench: Bench) -> None:
    path, _ = bench.keep("SELECT range AS id FROM range(10)")
    given = task_input(ArrowSource(path=str(path), shipped=columns_of({"id": "BIGINT"})), PAYMENTS)
    rows = select(
        bench,
        "WITH p AS (SELECT * FROM occ0.transactions.payments) "
        "SELECT count(*) AS n, count(a.memo) AS m FROM p AS a JOIN p AS b ON a.id = b.id",
        {"n": "BIGINT", "m": "BIGINT"},
        [given],
    )
    assert rows == [{"n": 10, "m": 0}]


def test_a_count_stands_for_that_many_rows(bench: Bench) -> None:
    path, _ = bench.keep("SELECT 7 AS n")
    rows = select(
        bench,
        "SELECT count(*) AS n FROM occ0.transactions.payments",
        {"n": "BIGINT"},
        [task_input(CountSource(path=str(path)), PAYMENTS)],
    )
    assert rows == [{"n": 7}]


def test_two_occurrences_of_a_dataset_are_two_inputs(bench: Bench) -> None:
    source = parquet_source([payments(bench)])
    rows = select(
        bench,
        "SELECT count(*) AS n FROM occ0.transactions.payments AS a, occ1.transactions.payments AS b WHERE a.id = b.id",
        {"n": "BIGINT"},
        [task_input(source, PAYMENTS), task_input(source, PAYMENTS, occurrence="occ1")],
    )
    assert rows == [{"n": 1000}]


def test_large_strings_of_other_writers_are_plain_text(bench: Bench) -> None:
    path = bench.lake / "views.parquet"
    pq.write_table(pa.table({"memo": pa.array(["a", None], pa.string_view())}), path)
    given = task_input(parquet_source([path]), {"memo": "VARCHAR"})
    rows = select(bench, "SELECT memo FROM occ0.transactions.payments WHERE memo = 'a'", {"memo": "VARCHAR"}, [given])
    assert rows == [{"memo": "a"}]


# ---------------------------------------------------------------- the snapshot


def _touch(path: Path) -> None:
    path.write_bytes(path.read_bytes())


def _replace_by_equal(path: Path) -> None:
    status = path.stat()
    other = path.with_name("other")
    other.write_bytes(path.read_bytes())
    os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))
    other.replace(path)


def _delete(path: Path) -> None:
    path.unlink()


@pytest.mark.parametrize("change", [_touch, _replace_by_equal, _delete])
def test_a_file_that_changed_since_it_was_pinned_is_named(change: Any, bench: Bench) -> None:
    path = payments(bench)
    source = parquet_source([path])
    change(path)
    problem = bench.failed(count_of(bench, source, PAYMENTS)).problem
    assert problem.code == "snapshot_changed"
    assert problem.data == {"dataset": "transactions.payments", "file": "payments/a.parquet"}


def _cut(content: bytes) -> bytes:
    return content[:-50]


def _empty(_: bytes) -> bytes:
    return b""


def _other(_: bytes) -> bytes:
    return b"this is no parquet file at all"


def _zeroed(content: bytes) -> bytes:
    return content[:20] + bytes(60) + content[80:]


@pytest.mark.parametrize("damage", [_cut, _empty, _other, _zeroed])
def test_a_damaged_file_is_named_among_sound_ones(damage: Any, bench: Bench) -> None:
    sound, broken = payments(bench), payments(bench, "payments/b.parquet")
    broken.write_bytes(damage(broken.read_bytes()))
    task = statement_task(
        "SELECT max(id) AS i, max(memo) AS m FROM occ0.transactions.payments",
        {"i": "BIGINT", "m": "VARCHAR"},
        bench.scratch / "out.arrow",
        [task_input(parquet_source([sound, broken]), PAYMENTS)],
    )
    outcome = bench.failed(task)
    problem = outcome.problem
    assert problem.code == "dataset_unreadable", outcome.said
    assert "payments/b.parquet" in problem.detail
    assert str(bench.lake) not in problem.detail


# ---------------------------------------------------------------- failures of statements


@pytest.mark.parametrize(
    ("sql", "kind", "code"),
    [
        ("SELECT CAST($secret AS INTEGER) AS x", "INTEGER", "conversion_failed"),
        ("SELECT CAST(300 + length($secret) AS TINYINT) AS x", "TINYINT", "value_out_of_range"),
        ("SELECT 9223372036854775807::BIGINT + length($secret)::BIGINT AS x", "BIGINT", "value_out_of_range"),
        ("SELECT 1 // (length($secret) - 12) AS x", "BIGINT", "division_by_zero"),
        ("SELECT (SELECT range FROM range(2 + length($secret))) AS x", "BIGINT", "run_invalid_input"),
        ("SELECT strptime($secret, '%Y') AS x", "TIMESTAMP", "run_invalid_input"),
        ("SELECT len(list(range)) AS x FROM range(30000000)", "BIGINT", "out_of_memory"),
    ],
)
def test_a_failing_statement_gives_a_code_and_keeps_the_engines_words_apart(
    sql: str, kind: str, code: str, bench: Bench
) -> None:
    task = statement_task(sql, {"x": kind}, bench.scratch / "out.arrow")
    task = task.model_copy(update={"params": {"secret": "Novak 850612"} if "$secret" in sql else {}})
    outcome = bench.kernel.run(Work(task=task, memory_bytes=64 * 2**20, threads=1))
    assert not outcome.ok
    assert outcome.problem.code == code
    assert "Novak" not in outcome.problem.model_dump_json()
    assert outcome.said
    assert list(bench.scratch.glob("*.arrow*")) == []


def test_spill_above_its_limit_is_out_of_disk(tmp_path: Path) -> None:
    from datacanal.site.engine.kernel import Kernel
    from datacanal.site.engine.work import KernelSettings

    settings = KernelSettings(
        readable=[],
        scratch=str(tmp_path),
        spill=str(tmp_path / "spill"),
        spill_bytes=10 * 2**20,
        memory_bytes=64 * 2**20,
        threads=1,
    )
    kernel = Kernel(settings)
    task = statement_task(
        "SELECT count(*) AS n FROM (SELECT DISTINCT range, range::VARCHAR || 'abcdefghijklm' FROM range(10000000))",
        {"n": "BIGINT"},
        tmp_path / "out.arrow",
    )
    outcome = kernel.run(Work(task=task, memory_bytes=64 * 2**20, threads=1))
    kernel.close()
    assert not outcome.ok
    assert outcome.problem.code == "out_of_disk"


def test_an_output_above_its_limit_is_refused_and_leaves_nothing(bench: Bench) -> None:
    task = statement_task(
        "SELECT hash(range) AS h FROM range(100000)",
        {"h": "UBIGINT"},
        bench.scratch / "out.arrow",
        max_output_bytes=10_000,
    )
    assert bench.failed(task).problem.code == "output_too_large"
    assert list(bench.scratch.iterdir()) == []


@pytest.mark.parametrize("columns", [{"n": "INTEGER"}, {"m": "BIGINT"}, {"n": "BIGINT", "o": "BIGINT"}])
def test_other_columns_than_planned_are_refused(columns: dict[str, str], bench: Bench) -> None:
    outcome = bench.failed(statement_task("SELECT 1::BIGINT AS n", columns, bench.scratch / "out.arrow"))
    assert outcome.problem.code == "engine_failed"
    assert not outcome.problem.retriable


@pytest.mark.parametrize("content", [b"", b"this is no stream"])
def test_an_input_that_is_no_stream_is_refused(content: bytes, bench: Bench) -> None:
    path = bench.scratch / "in.arrow"
    path.write_bytes(content)
    source = ArrowSource(path=str(path), shipped=columns_of({"id": "BIGINT"}))
    assert bench.failed(count_of(bench, source, PAYMENTS)).problem.code == "engine_failed"
