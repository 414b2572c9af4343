"""From checked steps and kept results to tasks of the pool."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from datacanal.protocol.catalogue import Snapshot
from datacanal.protocol.plan import DatasetInput, PlanColumn, StepInput
from datacanal.protocol.public import ResultFormat
from datacanal.protocol.site import Lease
from datacanal.site.engine.specification import (
    ArrowSource,
    CountSource,
    Leaving,
    ParquetFile,
    ParquetSource,
    Task,
    TaskInput,
)
from datacanal.site.keys import SiteKeys
from datacanal.site.labels_seal import sealed
from datacanal.site.verifier import VerifiedStep


def step_task(
    lease: Lease,
    verified: VerifiedStep,
    keys: SiteKeys,
    roots: Mapping[str, Path],
    fetched: Mapping[str, Path],
    output: Path,
    room_bytes: int,
) -> Task:
    """The step as a task: `roots` are the lakes' directories, `fetched` the transfers' verified files by their sender.

    The labels of its inputs are the site's own, those that peers signed, and NULLs' for what was not shipped.
    """
    step = verified.step
    received = {**verified.at_hand, **fetched}
    return Task(
        id=task_id(lease),
        sql=step.sql,
        params=step.params,
        now=lease.plan.now,
        inputs=[_input(item, verified, roots, received) for item in step.inputs],
        columns=step.columns,
        relation=step.relation,
        protection=step.protection,
        guard=str(guard_file(output)) if step.protection is not None else None,
        leaves_as=leaving(lease),
        site=step.site,
        # A result goes to its submitter as the public format says; only what another site reads is sealed.
        metadata={} if lease.is_result else sealed(lease, step, keys),
        output=str(output),
        max_output_bytes=room_bytes,
    )


def leaving(lease: Lease) -> Leaving:
    """Where the step's output goes. The lease's consumers were checked against the plan."""
    if lease.is_result:
        return "result"
    return "transfer" if lease.consumers else "step"


def guard_file(output: Path) -> Path:
    """Where an aggregate step's guard is written, beside its output."""
    return output.with_name(f"{output.name}.guard")


def task_id(lease: Lease) -> str:
    """One name per attempt."""
    return f"{lease.job}.{lease.step}.{lease.fence}"


def export_task(
    task: str, result: Path, columns: Sequence[PlanColumn], output: Path, format_: ResultFormat, room_bytes: int
) -> Task:
    """A result that is kept as a lossless Arrow stream, in one of the public formats."""
    # Names of a result may repeat, those of a view may not.
    numbered = [column.model_copy(update={"name": f"c{number}"}) for number, column in enumerate(columns)]
    return Task(
        id=task,
        sql="SELECT * FROM occ0.result.result",
        now="1970-01-01T00:00:00+00:00",
        gated=False,
        inputs=[
            TaskInput(
                occurrence="occ0",
                lake="result",
                dataset="result",
                columns=numbered,
                source=ArrowSource(path=str(result), shipped=numbered),
            )
        ],
        columns=list(columns),
        output=str(output),
        format=format_,
        max_output_bytes=room_bytes,
    )


def _input(
    item: StepInput, verified: VerifiedStep, roots: Mapping[str, Path], received: Mapping[str, Path]
) -> TaskInput:
    source: ParquetSource | ArrowSource | CountSource
    rules = None
    if isinstance(item, DatasetInput):
        use = verified.datasets[item.occurrence]
        source, rules = parquet_source(use.snapshot, roots[item.lake]), use.rules
    elif item.counted:
        source = CountSource(path=str(received[item.from_step]))
    else:
        source = ArrowSource(path=str(received[item.from_step]), shipped=item.shipped)
    return TaskInput(
        occurrence=item.occurrence,
        lake=item.lake,
        dataset=item.dataset,
        columns=item.columns,
        source=source,
        rules=rules,
    )


def parquet_source(snapshot: Snapshot, root: Path) -> ParquetSource:
    """The files of a snapshot in the lake at `root`."""
    return ParquetSource(
        files=[ParquetFile(path=str(root / file.path), etag=file.etag) for file in snapshot.files],
        partitions={column.name: column.type for column in snapshot.columns if column.partition},
    )
