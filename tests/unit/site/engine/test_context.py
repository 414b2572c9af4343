"""What a function is given: its tables in every form, the types that they have there, and what it may ask for."""

from __future__ import annotations

import datetime as dt
import functools
import io
import sys
import uuid
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa
import pytest
from tests.python_jobs import given, task_of
from tests.unit.site.engine.python_bench import Bench, cluster

from datacanal.protocol.plan import PlanColumn
from datacanal.site.engine import arrow_pieces
from datacanal.site.engine.python_task import GivenTable, Progress
from datacanal.site.engine.voice import Voice

PAYMENTS = {
    "id": "INTEGER",
    "amount": "DECIMAL(10,2)",
    "memo": "VARCHAR",
    "booked": "TIMESTAMP WITH TIME ZONE",
    "year": "SMALLINT",
    "day": "DATE",
}
PEOPLE = {"key": "UUID", "total": "HUGEINT", "kind": "ENUM('a', 'b')", "score": "BIGINT"}
KEY = uuid.UUID(int=7)
Run = Callable[..., Any]


def lay_out(bench: Bench) -> list[GivenTable]:
    """A partitioned dataset of two files, and an input as a transfer brings it."""
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute("SET arrow_lossless_conversion = true")
        files = []
        for year, day, first in ((2023, "2023-05-01", 1), (2024, "2024-06-02", 3)):
            file = Path("payments", f"year={year}", f"day={day}", "part.parquet")
            (bench.stage / file).parent.mkdir(parents=True)
            rows = (
                f"SELECT i::INTEGER AS id, (i + 0.25)::DECIMAL(10,2) AS amount, NULLIF('m' || i, 'm1') AS memo, "
                f"TIMESTAMPTZ '2024-01-01 12:00:00+00' AS booked FROM range({first}, {first + 2}) AS t(i)"
            )
            connection.execute(f"COPY ({rows}) TO '{bench.stage / file}' (FORMAT parquet)")
            files.append(str(file))
        people = connection.sql(
            f"SELECT UUID '{KEY}', 10000000000000000000000000000000000000::HUGEINT, 'b', unnest([1, NULL])::BIGINT"
        ).to_arrow_table()
        with pa.ipc.new_stream(str(bench.stage / "people.arrow"), people.schema) as stream:
            stream.write_table(people)
    return [
        given("dataset", "bank.payments", "parquet", files, PAYMENTS, year="SMALLINT", day="DATE"),
        given("dataset", "bank.empty", "parquet", [], {"id": "INTEGER"}),
        given("input", "people", "arrow", ["people.arrow"], PEOPLE),
    ]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.fixture
def run(bench: Bench) -> Iterator[Run]:
    """Run a function over the tables in this process, and give what it kept."""
    tables = lay_out(bench)

    def run(function: Callable[[Any], Any], **more: Any) -> Any:
        heard = bench.run_here(task_of(keeping(function), given=tables, **more))
        assert heard.why is None, heard
        return sys.modules["kept"].pop()

    sys.modules["kept"] = []
    yield run
    del sys.modules["kept"]


def keeping(function: Callable[..., Any]) -> Callable[..., pa.Table]:
    """The same function, for this process: it leaves what it returns where its test can look at it."""

    @functools.wraps(function)
    def kept(ctx: Any, **params: Any) -> pa.Table:
        sys.modules["kept"].append(function(ctx, **params))
        return pa.table({"n": [1]})

    return kept


def test_a_dataset_has_its_columns_and_their_types(run: Run) -> None:
    assert run(lambda ctx: ctx.dataset("bank.payments").columns) == PAYMENTS


def test_a_dataset_is_an_arrow_dataset_with_typed_partition_columns(run: Run) -> None:
    dataset = run(lambda ctx: ctx.dataset("bank.payments").arrow())
    assert [str(field.type) for field in dataset.schema] == [
        *("int32", "decimal128(10, 2)", "string", "timestamp[us, tz=UTC]", "int16", "date32[day]"),
    ]
    table = dataset.to_table(columns=["id", "amount", "memo", "year", "day"]).sort_by("id")
    assert table.to_pylist()[::3] == [
        {"id": 1, "amount": Decimal("1.25"), "memo": None, "year": 2023, "day": dt.date(2023, 5, 1)},
        {"id": 4, "amount": Decimal("4.25"), "memo": "m4", "year": 2024, "day": dt.date(2024, 6, 2)},
    ]


def test_a_dataset_is_a_frame_whose_types_survive(run: Run) -> None:
    frame = run(lambda ctx: ctx.dataset("bank.payments").pandas())
    assert isinstance(frame, pd.DataFrame)
    assert {name: str(kind) for name, kind in frame.dtypes.items()} == {
        "id": "Int32",
        "amount": "decimal128(10, 2)[pyarrow]",
        "memo": "str",
        "booked": "datetime64[us, UTC]",
        "year": "Int16",
        "day": "date32[day][pyarrow]",
    }


def test_a_dataset_is_a_relation_in_its_own_types(run: Run) -> None:
    rows = run(lambda ctx: ctx.dataset("bank.payments").duckdb().aggregate("year, sum(amount) AS s").fetchall())
    assert sorted(rows) == [(2023, Decimal("3.50")), (2024, Decimal("7.50"))]


def test_relations_of_one_job_can_be_joined(run: Run) -> None:
    def joined(ctx: Any) -> Any:
        payments, people = ctx.dataset("bank.payments").duckdb(), ctx.input("people").duckdb()
        return payments.join(people, "id = score").project("id, key, total, kind").fetchall()

    assert run(joined) == [(1, KEY, 10**37, "b")]


def test_an_input_has_the_types_that_results_have(run: Run) -> None:
    table = run(lambda ctx: ctx.input("people").arrow()).to_table()
    assert [str(field.type) for field in table.schema] == [
        *("string", "decimal128(38, 0)", "dictionary<values=string, indices=uint8, ordered=0>", "int64"),
    ]
    assert table.to_pylist()[0] == {"key": str(KEY), "total": 10**37, "kind": "b", "score": 1}


def test_a_dataset_without_files_has_its_columns_and_no_rows(run: Run) -> None:
    def sizes(ctx: Any) -> Any:
        empty = ctx.dataset("bank.empty")
        return (
            empty.arrow().count_rows(),
            len(empty.pandas()),
            len(empty.dask()),
            empty.duckdb().fetchall(),
            list(empty.pandas().columns),
        )

    assert run(sizes) == (0, 0, 0, [], ["id"])


def test_dask_reads_a_dataset_file_by_file(run: Run) -> None:
    def total(ctx: Any) -> Any:
        frame = ctx.dataset("bank.payments").dask()
        return frame.npartitions, str(frame.dtypes["amount"]), frame.groupby("year")["id"].sum().compute().to_dict()

    assert run(total) == (2, "decimal128(10, 2)[pyarrow]", {2023: 3, 2024: 7})


def test_a_large_file_is_cut_between_its_row_groups(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    file = bench.stage / "large.parquet"
    with duckdb.connect() as connection:
        rows = "SELECT i AS id FROM range(10000) AS t(i)"
        connection.execute(f"COPY ({rows}) TO '{file}' (FORMAT parquet, ROW_GROUP_SIZE 2048)")
    monkeypatch.setattr(arrow_pieces, "PIECE_BYTES", 3 * 2048 * 8)
    pieces = arrow_pieces.parquet_pieces([str(file)], pa.schema([("id", pa.int64())]), [])
    assert len(pieces) > 1
    read = [number for piece in pieces for number in piece.table(["id"])["id"].to_pylist()]
    assert read == list(range(10_000))


def test_a_long_stream_is_cut_between_its_batches(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    file = str(bench.stage / "long.arrow")
    batches = [pa.record_batch({"id": list(range(first, first + 1000))}) for first in range(0, 10_000, 1000)]
    with pa.ipc.new_stream(file, batches[0].schema) as stream:
        for batch in batches:
            stream.write_batch(batch)
    monkeypatch.setattr(arrow_pieces, "PIECE_BYTES", 3 * 8000)
    pieces = arrow_pieces.stream_pieces(file, [PlanColumn(name="id", type="BIGINT")])
    assert len(pieces) == 4
    assert [number for piece in pieces for number in piece.table(None)["id"].to_pylist()] == list(range(10_000))


def test_an_undeclared_name_is_refused_with_those_that_are_declared(run: Run) -> None:
    def asked(ctx: Any) -> Any:
        with pytest.raises(LookupError) as dataset:
            ctx.dataset("people")
        with pytest.raises(LookupError) as table:
            ctx.input("bank.payments")
        return str(dataset.value), str(table.value)

    assert run(asked) == (
        "The job declares no dataset 'people'. It declares: bank.empty, bank.payments.",
        "The job declares no input 'bank.payments'. It declares: people.",
    )


def test_a_job_without_workers_has_no_client(run: Run) -> None:
    def asked(ctx: Any) -> Any:
        with pytest.raises(RuntimeError, match="workers=1"):
            _ = ctx.client
        return True

    assert run(asked)


def test_parameters_have_the_annotated_types(run: Run) -> None:
    def typed(ctx: Any, day: dt.date, at: dt.datetime | None, much: Decimal, free: int, none: dt.date | None) -> Any:
        return day, at, much, free, none, dict(ctx.params)["much"]

    bound = {"day": "2024-01-02", "at": "2024-01-02T03:04:05", "much": "1.10", "free": 3, "none": None}
    at = dt.datetime(2024, 1, 2, 3, 4, 5)  # noqa: DTZ001
    assert run(typed, params=bound) == (dt.date(2024, 1, 2), at, Decimal("1.10"), 3, None, Decimal("1.10"))


def test_progress_that_is_sent_too_often_is_left_out() -> None:
    now = [0.0]
    frames = io.BytesIO()
    voice = Voice(frames, clock=lambda: now[0])
    for step in range(100):
        now[0] = step / 100
        voice.progress(step / 100)
    assert frames.getvalue().count(b'"progress"') == 5


def test_progress_is_a_fraction(run: Run) -> None:
    def told(ctx: Any) -> Any:
        ctx.progress(0.5)
        for wrong in (2, -1, float("nan")):
            with pytest.raises(ValueError, match="fraction"):
                ctx.progress(wrong)
        return Progress(fraction=0.5).fraction

    assert run(told) == 0.5


# ---------------------------------------------------------------- with workers


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """Run a function in a driver of its own beside one cluster, and give the table it returned."""
    bench = Bench(tmp_path_factory.mktemp("python"))
    tables = lay_out(bench)
    with cluster(bench) as scheduler:

        def ran(function: Callable[[Any], Any], columns: dict[str, str]) -> pa.Table:
            return bench.run(task_of(function, columns, given=tables, scheduler=scheduler, workers=2)).table

        yield ran


def test_the_workers_read_and_shuffle(ran: Run) -> None:
    def joined(ctx: Any) -> Any:
        people = ctx.input("people").dask()[["score", "total"]]
        payments = ctx.dataset("bank.payments").dask()
        merged = payments.merge(people, left_on="id", right_on="score", how="left", shuffle_method="p2p")
        return merged[["id", "amount", "year", "total"]]

    columns = {"id": "INTEGER", "amount": "DECIMAL(10,2)", "year": "SMALLINT", "total": "HUGEINT"}
    table = ran(joined, columns)
    assert sorted(table["amount"].to_pylist()) == [Decimal(f"{n}.25") for n in (1, 2, 3, 4)]


def test_the_client_runs_scatters_and_acts(ran: Run) -> None:
    def uses(ctx: Any) -> Any:
        import pyarrow as pa

        class Counter:
            n = 0

            def add(self, n: int) -> int:
                self.n += n
                return self.n

        client = ctx.client
        (held,) = client.scatter([20])
        counter = client.submit(Counter, actor=True).result()
        counter.add(1).result()
        ran = client.run(lambda: 10)
        return pa.table({"n": [client.submit(lambda x: x + 1, held).result(), counter.add(2).result(), len(ran)]})

    assert ran(uses, {"n": "INTEGER"})["n"].to_pylist() == [21, 3, 2]
