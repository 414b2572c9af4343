"""The plan: a job as steps at sites and transfers between them. Versioned; a site and the control plane read it alike.

Inside a step's SQL every table is written `occN.lake.dataset`: one catalog `occN` per table occurrence of the user's
statement, so that two uses of one dataset can carry different columns and rows.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, JsonValue

from datacanal.protocol.base import Document, digest_of
from datacanal.protocol.labels import Label

PLAN_FORMAT = 2


class PlanColumn(Document):
    name: str
    type: str = Field(description="DuckDB type, as DuckDB writes it")
    label: Label = Label()


class DatasetInput(Document):
    """A dataset of the step's own site, at a pinned snapshot."""

    kind: Literal["dataset"] = "dataset"
    occurrence: str
    lake: str
    dataset: str
    snapshot: str
    columns: list[PlanColumn] = Field(description="every column of the dataset, in its order")


class TransferInput(Document):
    """The output of another step, at another site or at this one (then nothing moves, and no ticket is needed).

    Columns that were not shipped read as NULL: nothing depends on them. `shipped` carries the labels; the output of a
    subtree or an aggregate step is the dataset `step.<its id>`, which no lake can be called.
    """

    kind: Literal["transfer"] = "transfer"
    occurrence: str
    lake: str
    dataset: str
    from_step: str
    shipped: list[PlanColumn]
    columns: list[PlanColumn] = Field(description="every column of the dataset, in its order")
    counted: bool = Field(
        default=False, description="no column is needed: the step's one row holds how many rows there are"
    )


StepInput = Annotated[DatasetInput | TransferInput, Field(discriminator="kind")]


class Estimate(Document):
    rows: int
    bytes: int = Field(description="zstd Arrow IPC bytes on the wire")
    scanned_bytes: int = 0


class Measure(Document):
    """One aggregate of an aggregate step: `function(column)` over a column of its relation; `count_star` has none."""

    function: Literal["count_star", "count", "sum", "avg", "min", "max", "count_distinct"]
    column: str | None = None


class Entity(Document):
    """The relation's `column` holds the individual that `min_group` of that dataset's columns counts."""

    column: str
    lake: str
    dataset: str


class Protection(Document):
    """How an aggregate step groups its relation (see docs/decisions/0004). All names are columns of the relation.

    The relation's columns are called g0…, m0…, e0…; the step's own columns are the groups, then a0… for the measures.
    """

    groups: list[str]
    measures: list[Measure]
    entities: list[Entity]


class PythonEnvironment(Document):
    """What a function was written with: `packages` are the distributions that it imports, with their versions."""

    python: str = Field(description='minor version: "3.11"')
    packages: dict[str, str] = Field(default_factory=dict)


class PythonCode(Document):
    """A function. Nothing but a job's own containers unpickles it."""

    name: str
    pickle: str = Field(description="cloudpickle of the function, base64; empty where a job is shown")
    digest: str = Field(description="sha256 of the pickle's bytes, hex")
    source: str = Field(description="as its author wrote it, for stewards")
    environment: PythonEnvironment


class PythonGiven(Document):
    """A table that the function may ask for by name: the step's input of that occurrence.

    A `dataset` is called `lake.dataset`, an `input` what the job calls it.
    """

    kind: Literal["dataset", "input"]
    name: str
    occurrence: str


class PythonWork(Document):
    """What a `python` step runs, and in how large a cluster. `memory_bytes` is that of driver and of each worker.

    `image` is the id of one that the site's launcher allows; None: the one that it is configured with.
    """

    code: PythonCode
    given: list[PythonGiven]
    workers: int
    memory_bytes: int
    image: str | None = None


class Step(Document):
    """SQL over the inputs, at one site, or Python with them.

    `scan` feeds a transfer with one dataset's rows, `subtree` is a part of the statement that runs whole at its site,
    `aggregate` groups its relation and passes the gate before anything sees it, `query` makes the result or a table
    that a Python job is given, `python` runs a function (docs/decisions/0010). The labels of `columns` say what leaves
    the step; those of `relation` what an aggregate step's `sql` gives.
    """

    id: str
    site: str
    kind: Literal["scan", "subtree", "aggregate", "query", "python"]
    sql: str
    params: dict[str, JsonValue] = Field(default_factory=dict)
    inputs: list[StepInput]
    columns: list[PlanColumn]
    relation: list[PlanColumn] = Field(default_factory=list)
    protection: Protection | None = None
    python: PythonWork | None = None
    estimate: Estimate


class Alternative(Document):
    """A choice that was rejected, with what it would have cost."""

    choice: str
    bytes: int
    reason: str = ""


class Transfer(Document):
    """What moves between two sites; an output that is used at its own site is no transfer."""

    from_step: str
    to_step: str
    from_site: str
    to_site: str
    kind: Literal["relation", "count"]
    dataset: str
    estimate: Estimate
    reason: str
    alternatives: list[Alternative] = Field(default_factory=list)


class Meeting(Document):
    """Where the relations meet, and what the other sites would have cost."""

    site: str
    bytes: int
    reason: str
    alternatives: list[Alternative] = Field(default_factory=list)


class Plan(Document):
    format: Literal[2] = 2
    kernel: str = Field(description="DuckDB version that bound the statement")
    functions: str = Field(description="digest of the list of allowed functions")
    statement: str = Field(description="the statement as it was checked, printed from the tree")
    now: str = Field(description="the job's one instant, ISO 8601 in UTC; now() and its kin give it")
    steps: list[Step]
    transfers: list[Transfer]
    result_step: str
    columns: list[PlanColumn]
    meeting: Meeting
    policy: list[str] = Field(default_factory=list, description="policy decisions, in words")

    @property
    def digest(self) -> str:
        """sha256 (hex) of the document, equal wherever it was read."""
        return digest_of(self.model_dump(mode="json", by_alias=True))

    def without_pickles(self) -> Plan:
        """The same for people to look at, with another digest."""
        return self.model_copy(update={"steps": [_without_pickle(step) for step in self.steps]})

    def step(self, step_id: str) -> Step:
        """The step of that id."""
        return next(step for step in self.steps if step.id == step_id)


def _without_pickle(step: Step) -> Step:
    if step.python is None:
        return step
    code = step.python.code.model_copy(update={"pickle": ""})
    return step.model_copy(update={"python": step.python.model_copy(update={"code": code})})


def labels_text(job: str, step: str, plan_digest: str, columns: list[PlanColumn]) -> str:
    """What the sending agent signs: these are the labels of this step's output, in this plan, in this job."""
    digest = digest_of([column.model_dump(mode="json") for column in columns])
    return "\n".join(("datacanal labels 1", job, step, plan_digest, digest))
