"""Run a Python step: tables laid on a stage, the function in a cluster of its own, what it returns believed last."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from datacanal.domain.errors import (
    CodeNotLoaded,
    ContractBroken,
    DatacanalError,
    EnvironmentDiffers,
    OutOfDisk,
    OutOfMemory,
    PythonNeedsContainers,
    PythonRaised,
    PythonReturnedNoTable,
)
from datacanal.planning.environments import check_environment
from datacanal.protocol.plan import PythonWork, Step
from datacanal.protocol.site import Lease
from datacanal.site.engine.python_task import GaveUp, GivenTable, PythonTask
from datacanal.site.engine.specification import ReturnedSource, Task, TaskInput
from datacanal.site.fleet.containers import Marks
from datacanal.site.fleet.job_cluster import ClusterShape, Run
from datacanal.site.fleet.python_host import PythonHost
from datacanal.site.fleet.stages import Staged, StagedDataset, StagedStream
from datacanal.site.python_steps import ProvidedTable
from datacanal.site.running import Running
from datacanal.site.tasks import leaving, parquet_source, task_id
from datacanal.site.verifier import VerifiedStep


@dataclass(frozen=True)
class PythonRuns:
    """`host` is None where there are no containers. `roots` are the lakes' folders."""

    site: str
    host: PythonHost | None
    roots: Callable[[], Mapping[str, Path]]

    async def run(
        self,
        lease: Lease,
        verified: VerifiedStep,
        inputs: Mapping[str, Path],
        result: Path,
        most_bytes: int,
        running: Running,
    ) -> int:
        """Leave what the function returned in `result`, which nobody has looked at yet; gives its rows, as it says.

        Raises what kept it from that.
        """
        host, function = self.host, verified.python
        if host is None or function is None:
            raise PythonNeedsContainers(site=self.site)
        work = function.work
        image = await host.image(work.image)
        if image.environment is not None:
            check_environment(work.code.environment, image.environment, self.site)
        staged = [self._staged(number, table, inputs) for number, table in enumerate(function.tables)]

        def progress(fraction: float) -> None:
            running.fraction = fraction

        run = Run(_task(lease, verified.step, work, staged), staged, result, most_bytes, progress)
        shape = ClusterShape(workers=work.workers, memory_bytes=work.memory_bytes, image=work.image)
        marks = Marks(job=lease.job, step=lease.step, fence=lease.fence)
        outcome = await host.run(shape, function.image, marks, run)
        running.said = outcome.said
        if isinstance(outcome.last, DatacanalError):
            raise outcome.last
        if isinstance(outcome.last, GaveUp):
            raise self._failure(outcome.last, verified.step, work)
        return outcome.last.rows

    def _staged(self, number: int, table: ProvidedTable, inputs: Mapping[str, Path]) -> Staged:
        given = table.given
        if table.made_by is not None:
            stream = GivenTable(
                kind=given.kind, name=given.name, format="arrow", files=[f"{number}.arrow"], columns=table.columns
            )
            return StagedStream(stream, inputs[table.made_by])
        if table.use is None:
            raise ValueError("a table that nothing makes")
        root = self.roots()[table.use.snapshot.lake]
        source = parquet_source(table.use.snapshot, root)
        files = GivenTable(
            kind=given.kind,
            name=given.name,
            format="parquet",
            files=[str(Path(str(number), Path(file.path).relative_to(root))) for file in source.files],
            columns=table.columns,
            partitions=source.partitions,
        )
        return StagedDataset(files, source.files, [str(root)])

    def _failure(self, given_up: GaveUp, step: Step, work: PythonWork) -> DatacanalError:
        match given_up.why:
            case "raised":
                return PythonRaised(site=self.site)
            case "cannot_be_loaded":
                return CodeNotLoaded(site=self.site)
            case "no_table":
                return PythonReturnedNoTable()
            case "other_columns":
                return ContractBroken(columns=", ".join(f"{each.name} {each.type}" for each in step.columns))
            case "environment":
                return EnvironmentDiffers(site=self.site, differences="its image says other versions than it has")
            case "out_of_memory":
                return OutOfMemory(limit_bytes=work.memory_bytes)
            case "out_of_disk":
                return OutOfDisk(reason="its /tmp or /work is full")


def returned_task(lease: Lease, step: Step, returned: Path, output: Path, room_bytes: int) -> Task:
    """What a driver sent, proven and written like any step's output."""
    contract = list(step.columns)
    given = TaskInput(
        occurrence="occ0", lake="step", dataset="returned", columns=contract, source=ReturnedSource(path=str(returned))
    )
    return Task(
        id=task_id(lease),
        sql="SELECT * FROM occ0.step.returned",
        now=lease.plan.now,
        gated=False,
        inputs=[given],
        columns=contract,
        leaves_as=leaving(lease),
        output=str(output),
        max_output_bytes=room_bytes,
    )


def _task(lease: Lease, step: Step, work: PythonWork, staged: list[Staged]) -> PythonTask:
    return PythonTask(
        job=lease.job,
        code=work.code,
        params=step.params,
        given=[each.table for each in staged],
        columns={column.name: column.type for column in step.columns},
        scheduler="",
        workers=work.workers,
    )
