"""A kernel in the test's own process, with a lake and a scratch directory."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from datacanal.protocol.plan import PlanColumn
from datacanal.site.engine.kernel import Kernel
from datacanal.site.engine.specification import ArrowSource, Task, TaskDone, TaskFailed, TaskFormat, TaskInput
from datacanal.site.engine.work import KernelSettings, Work
from datacanal.testing.tasks import NOW

MEMORY_BYTES = 512 * 2**20


@dataclass
class Bench:
    """Runs tasks; `lake` and `scratch` are its directories."""

    kernel: Kernel
    lake: Path
    scratch: Path

    def run(self, task: Task) -> TaskDone | TaskFailed:
        return self.kernel.run(Work(task=task, memory_bytes=MEMORY_BYTES, threads=1))

    def done(self, task: Task) -> TaskDone:
        outcome = self.run(task)
        assert outcome.ok, f"{outcome.problem.code}: {outcome.said}"
        return outcome

    def failed(self, task: Task) -> TaskFailed:
        outcome = self.run(task)
        assert not outcome.ok
        return outcome

    def keep(self, query: str, name: str = "kept.arrow") -> tuple[Path, list[PlanColumn]]:
        """The query's rows as a kept result: its file and columns."""
        columns = describe(query)
        path = self.scratch / name
        self.done(site_task(query, columns, path))
        return path, columns

    def export(self, query: str, output_format: TaskFormat) -> Path:
        """The query's rows, kept and then exported."""
        kept, columns = self.keep(query)
        path = self.scratch / f"export.{output_format}"
        self.done(export_of(kept, columns, path, output_format))
        return path


def describe(query: str) -> list[PlanColumn]:
    with duckdb.connect(":memory:") as connection:
        connection.execute("SET TimeZone = 'UTC'")
        relation = connection.sql(query)
        return [
            PlanColumn(name=name, type=str(kind)) for name, kind in zip(relation.columns, relation.types, strict=True)
        ]


def site_task(
    sql: str,
    columns: Sequence[PlanColumn],
    output: Path,
    inputs: Sequence[TaskInput] = (),
    output_format: TaskFormat = "lossless",
) -> Task:
    return Task(
        id="task",
        sql=sql,
        now=NOW,
        gated=False,
        inputs=list(inputs),
        columns=list(columns),
        output=str(output),
        format=output_format,
    )


def export_of(kept: Path, columns: Sequence[PlanColumn], output: Path, output_format: TaskFormat) -> Task:
    numbered = [PlanColumn(name=f"c{place}", type=column.type) for place, column in enumerate(columns)]
    source = ArrowSource(path=str(kept), shipped=numbered)
    given = TaskInput(occurrence="occ0", lake="kept", dataset="result", columns=numbered, source=source)
    return site_task("SELECT * FROM occ0.kept.result", columns, output, [given], output_format)


def read_stream(path: Path) -> Any:
    with pa.OSFile(str(path)) as file, pa.ipc.open_stream(file) as stream:
        return stream.read_all()


@contextlib.contextmanager
def open_bench(home: Path) -> Iterator[Bench]:
    lake, scratch = home / "lake", home / "scratch"
    lake.mkdir()
    scratch.mkdir()
    kernel = Kernel(
        KernelSettings(
            readable=[str(lake)],
            scratch=str(scratch),
            spill=str(scratch / "spill"),
            spill_bytes=2**30,
            memory_bytes=MEMORY_BYTES,
            threads=1,
        )
    )
    yield Bench(kernel, lake, scratch)
    kernel.close()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with open_bench(tmp_path) as made:
        yield made
