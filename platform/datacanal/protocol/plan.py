"""The plan: a job as steps at sites and transfers between them. Versioned; a site and the control plane read it alike.

Inside a step's SQL every table is written `occN.lake.dataset`: one catalog `occN` per table occurrence of the user's
statement, so that two uses of one dataset can carry different columns and rows.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, JsonValue

from datacanal.protocol.base import Document, digest_of

PLAN_FORMAT = 1


class Label(Document):
    """What the egress policy says of a column. Format 1 reserves the slot; only `public` exists in it."""

    policy_class: Literal["public"] = "public"


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
    """The output of another step. Columns that were not shipped read as NULL: nothing depends on them."""

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


class Step(Document):
    """SQL over the inputs, at one site. `scan` steps feed a transfer, the `query` step makes the result."""

    id: str
    site: str
    kind: Literal["scan", "query"]
    sql: str
    params: dict[str, JsonValue] = Field(default_factory=dict)
    inputs: list[StepInput]
    columns: list[PlanColumn]
    estimate: Estimate


class Alternative(Document):
    """A choice that was rejected, with what it would have cost."""

    choice: str
    bytes: int
    reason: str = ""


class Transfer(Document):
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
    format: Literal[1] = 1
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

    def step(self, step_id: str) -> Step:
        """The step of that id."""
        return next(step for step in self.steps if step.id == step_id)
