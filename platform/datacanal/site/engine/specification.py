"""What the agent asks of its pool, and what it gets back: one step as JSON in, Arrow files and JSON out.

Paths name files on the site's own machine. Nothing here is ever pickled.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, JsonValue, TypeAdapter

from datacanal.domain.errors import AttemptLost, DatacanalError
from datacanal.protocol.base import Document
from datacanal.protocol.plan import PlanColumn, Protection
from datacanal.protocol.problem import Problem, problem_of
from datacanal.protocol.public import ResultFormat


class ParquetFile(Document):
    """A lake file and the etag that it must still have when opened and when closed."""

    path: str
    etag: str


class ParquetSource(Document):
    """A dataset at its snapshot. `partitions` maps partition columns to their DuckDB types (hive layout)."""

    kind: Literal["parquet"] = "parquet"
    files: list[ParquetFile]
    partitions: dict[str, str] = Field(default_factory=dict)


class ArrowSource(Document):
    """A received transfer: an Arrow IPC stream that holds `shipped`."""

    kind: Literal["arrow"] = "arrow"
    path: str
    shipped: list[PlanColumn]


class ReturnedSource(Document):
    """What a job's driver sent as its table: believed in nothing until it was looked at whole."""

    kind: Literal["returned"] = "returned"
    path: str


class CountSource(Document):
    """A relation of which only the number of rows matters."""

    kind: Literal["count"] = "count"
    path: str = Field(description="Arrow IPC stream with one row and one column, the count")


class MaskedColumn(Document):
    """A column that statements see through its mask only; `raw_type` is the DuckDB type in the files."""

    mask: str
    raw_type: str


class ViewRules(Document):
    """What the policy puts between a dataset and whoever reads it. `mask_key` is the lake's own, for `hash`."""

    rows: str | None = None
    masks: dict[str, MaskedColumn] = Field(default_factory=dict)
    mask_key: str = ""


class TaskInput(Document):
    """Becomes the view `occurrence.lake.dataset` with `columns`, those not at hand as NULL.

    The labels of `columns` are the agent's own: from its policy, or from the signed schema of a received transfer.
    """

    occurrence: str
    lake: str
    dataset: str
    columns: list[PlanColumn]
    source: Annotated[ParquetSource | ArrowSource | CountSource | ReturnedSource, Field(discriminator="kind")]
    rules: ViewRules | None = Field(default=None, description="for datasets with masks or a row filter")


TaskFormat = Literal["lossless"] | ResultFormat
Leaving = Literal["step", "transfer", "result"]
"""How an output is used: at its own site, by another site, by the submitter. It decides which labels may leave."""


class Task(Document):
    """One statement over inputs into one file, in a kernel process with a connection of its own.

    `lossless` output is a zstd Arrow IPC stream with the DuckDB type of each field in its metadata, for transfers and
    kept results; the other formats, `arrow` too, follow the public type rules (docs/types.md). `gated` says that `sql`
    is a user's and must pass the SQL gate again before it runs. The output's column names are those of `columns`; a
    gated statement must give them itself, so a name that was bound and a name that came out cannot differ.

    The labels of `columns` are what was planned: a gated task runs only if they are exactly what the kernel works out
    from the labels of `inputs`, and if they may leave in the way of `leaves_as`. With a `protection` the statement is
    the relation of an aggregate step (`relation` are its columns), and `guard` names the file for the guard (see
    `site.gate.guard`). `metadata` goes into the schema of a lossless output.
    """

    id: str
    sql: str
    params: dict[str, JsonValue] = Field(default_factory=dict)
    now: str
    gated: bool = True
    inputs: list[TaskInput]
    columns: list[PlanColumn]
    relation: list[PlanColumn] = Field(default_factory=list)
    protection: Protection | None = None
    guard: str | None = None
    leaves_as: Leaving = "result"
    site: str = Field(default="", description="the site's name, for refusals")
    metadata: dict[str, str] = Field(default_factory=dict)
    output: str
    format: TaskFormat = "lossless"
    max_output_bytes: int | None = None


class TaskDone(Document):
    ok: Literal[True] = True
    rows: int
    bytes: int
    digest: str = Field(description="sha256 of the output file, hex")
    scanned_bytes: int
    elapsed_ms: int
    said: str = ""


class TaskFailed(Document):
    ok: Literal[False] = False
    problem: Problem
    elapsed_ms: int
    said: str = Field(default="", description="the engine's own words; they stay at the site")


TaskOutcome = Annotated[TaskDone | TaskFailed, Field(discriminator="ok")]
OUTCOME: TypeAdapter[TaskDone | TaskFailed] = TypeAdapter(TaskOutcome)


def lost(reason: str) -> TaskFailed:
    """The outcome of an attempt that ended with its kernel, its worker or its pool; another attempt may succeed."""
    return failed(AttemptLost(reason=reason))


def failed(error: DatacanalError) -> TaskFailed:
    """The outcome of a task that never began."""
    return TaskFailed(problem=problem_of(error), elapsed_ms=0)


class PoolShape(Document):
    """How the pool is made: workers of one regular slot each, and one express slot for short steps.

    A pool with `least` has between so many and `workers`, as its queue asks for.
    """

    workers: int
    least: int | None = None
    threads: int
    memory_bytes: int
    readable: list[str] = Field(description="directories that tasks may read (the lakes)")
    scratch: str = Field(description="directory for outputs, inputs and spill")
    spill_bytes: int = Field(default=16 * 2**30, description="disk that one task may fill with spill")

    @property
    def least_workers(self) -> int:
        """How many workers the pool has when it has nothing to do."""
        return self.workers if self.least is None else self.least
