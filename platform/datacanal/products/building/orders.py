"""What a builder is asked and what it answers: one JSON line each way, one order for one process."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, JsonValue

from datacanal.products.manifest import Manifest
from datacanal.protocol.base import Document
from datacanal.protocol.problem import Problem
from datacanal.protocol.products import Contract, Difference, Report, VersionDiff

Place = Annotated[Path, AfterValidator(Path.absolute)]
"""A child has its parent's working folder, but DuckDB's list of allowed ones is compared as text."""


class BuildOrder(Document):
    """Make the snapshot of a job's result, one Parquet file, in the store of products."""

    do: Literal["build"] = "build"
    source: Place
    store: Place
    product: str
    version: str
    snapshot: str
    contract: Contract
    created_at: datetime


class CheckOrder(Document):
    """Hold a snapshot to its contract.

    `against` is the folder of the stable version, or of the newest of the same major; `major` says that this version
    begins a new major, so that columns may be dropped and retyped. `queries` are canonical texts of requests.
    """

    do: Literal["check"] = "check"
    folder: Place
    contract: Contract
    now: datetime
    against: Place | None = None
    major: bool = False
    queries: list[str] = Field(default_factory=list)


class CompareOrder(Document):
    do: Literal["compare"] = "compare"
    old: Place
    new: Place


class ReplayOrder(Document):
    do: Literal["replay"] = "replay"
    old: Place
    new: Place
    queries: list[str]


AnyOrder = BuildOrder | CheckOrder | CompareOrder | ReplayOrder


class Assignment(Document):
    """An order, and what may be used for it. `spill` is a folder for this order alone."""

    order: Annotated[AnyOrder, Field(discriminator="do")]
    memory_bytes: int = Field(gt=0)
    threads: int = Field(gt=0)
    spill: Place


class Answer(Document):
    """Exactly one of both."""

    result: JsonValue = None
    problem: Problem | None = None


class Built(Document):
    manifest: Manifest


class Comparison(Document):
    """`rows` and `keys` of the old version were restated: changed or taken away in sessions that it had.

    `keys` are told apart without the session. Without a session column all three are empty.
    """

    diff: VersionDiff
    rows: int
    keys: int


class Replay(Document):
    """`broken` are answers that changed, `grown` those that only have more rows; `unasked` requests had no time."""

    broken: list[Difference]
    grown: list[Difference]
    replayed: int
    unasked: int


Result = Built | Report | Comparison | Replay
