"""Products as publishers manage them: contracts, versions, reports, channels, schedules."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from datacanal.protocol.base import Document
from datacanal.protocol.problem import Problem
from datacanal.protocol.public import JobRequest

PRODUCT_PATTERN = r"^[a-z][a-z0-9_]{0,62}\.[a-z][a-z0-9_]{0,62}$"
READER_PATTERN = r"^(group|principal):.+"
SCHEDULE_PATTERN = r"^[a-z][a-z0-9_-]{0,62}$"
ProductName = Annotated[str, StringConstraints(pattern=PRODUCT_PATTERN, max_length=127)]
ColumnName = Annotated[str, StringConstraints(min_length=1, max_length=255)]
Reader = Annotated[str, StringConstraints(pattern=READER_PATTERN, max_length=200)]
Visibility = Literal["private", "listed", "internal"]
Channel = Literal["stable", "canary"]
CheckName = Literal["schema", "key", "not_null", "drift", "freshness", "replay", "consent"]


class Freshness(Document):
    """How old the newest session may be when a version is published.

    With a calendar (`XSHG`, `XNYS`, … of exchange-calendars) in its sessions, without one in days.
    """

    at_most: int = Field(default=1, ge=0, le=10_000)


class Contract(Document):
    """What every version of a major version keeps.

    `columns` (name to DuckDB type, in order) are those of the first version where none are given. `drift` is how far
    the row count may be from the stable version's, as a share of it; null: any.
    """

    key: list[ColumnName] = Field(min_length=1, max_length=16)
    columns: dict[ColumnName, str] | None = None
    not_null: list[ColumnName] = Field(default_factory=list, max_length=1000)
    session: ColumnName | None = Field(default=None, description="the column of dates that rows come in by")
    calendar: str | None = Field(default=None, max_length=16, description="whose sessions are expected")
    drift: float | None = Field(default=0.3, ge=0)
    freshness: Freshness | None = None


class Sample(Document):
    """`rows` of the stable version that show what it is like; `open`: without a token."""

    rows: int = Field(default=10, ge=0, le=1000)
    open: bool = False


class ProductRequest(Document):
    """A new product; it has no version yet.

    `private` is for `readers` alone and does not exist for others; `listed` is in the catalogue for every developer,
    its data for `readers` alone; `internal` is for everybody with a token of this service.
    """

    name: ProductName
    title: str = Field(min_length=1, max_length=200)
    description: str = Field(default="", max_length=65_536, description="Markdown")
    contract: Contract
    visibility: Visibility = "private"
    readers: list[Reader] = Field(default_factory=list, max_length=1000, description='"group:NAME" or "principal:NAME"')
    sample: Sample = Sample()
    keep: int = Field(default=10, ge=2, le=1000, description="how many versions stay that a channel does not point at")


class ProductUpdate(Document):
    """What is given is changed; a contract's change holds from the next version on."""

    title: str | None = Field(default=None, min_length=1, max_length=200)
    description: str | None = Field(default=None, max_length=65_536)
    contract: Contract | None = None
    visibility: Visibility | None = None
    readers: list[Reader] | None = Field(default=None, max_length=1000)
    sample: Sample | None = None
    keep: int | None = Field(default=None, ge=2, le=1000)


class ChannelView(Document):
    """`share` of the callers (by a hash of who they are) and members of the groups `labels` get the canary."""

    channel: Channel
    version: str
    snapshot: str
    since: datetime
    share: float = 0.0
    labels: list[str] = Field(default_factory=list)


class ProductView(Document):
    name: str
    title: str
    description: str
    owner: str
    contract: Contract
    visibility: Visibility
    readers: list[str]
    sample: Sample
    keep: int
    created_at: datetime
    retired_at: datetime | None
    channels: list[ChannelView]
    versions: int


class ProductSummary(Document):
    name: str
    title: str
    owner: str
    visibility: Visibility
    stable: str | None = Field(description="the stable version")
    rows: int | None
    published_at: datetime | None
    retired_at: datetime | None


class ProductList(Document):
    products: list[ProductSummary]


class Input(Document):
    lake: str
    dataset: str
    site: str
    snapshot: str


class Lineage(Document):
    """Where a version's rows come from. `code` is the digest of the statement, or of the function's pickle."""

    job: str
    plan: str
    code: str
    kernel: str
    inputs: list[Input]
    schedule: str | None = None


class Difference(Document):
    """One thing that is not as it was or must be, with examples (keys or values as text)."""

    what: str
    examples: list[str] = Field(default_factory=list, max_length=10)


class Check(Document):
    """`held` stops the release; `acceptable`: unless the publisher accepts it with a reason."""

    check: CheckName
    outcome: Literal["passed", "held", "skipped"]
    says: str = Field(description="for people: what was looked at, what was found, what to do")
    acceptable: bool = False
    differences: list[Difference] = Field(default_factory=list, max_length=100)


class Report(Document):
    """`against` is the version that was compared with."""

    against: str | None = None
    checks: list[Check]


class Consent(Document):
    """An owner's answer about one dataset; `seq` and `hash` are its entry in the site's own record."""

    site: str
    lake: str
    dataset: str
    decision: Literal["granted", "refused", "waiting"]
    reason: str = ""
    policy_digest: str = ""
    seq: int = 0
    hash: str = ""
    at: datetime | None = None


class Restatement(Document):
    """Sessions whose values changed after they were published."""

    old_version: str
    old_snapshot: str
    new_version: str
    new_snapshot: str
    sessions: list[str]
    keys: int
    rows: int
    reason: str
    at: datetime


class VersionView(Document):
    product: str
    version: str
    snapshot: str
    state: str
    rows: int | None
    bytes: int | None
    created_at: datetime
    staged_at: datetime | None
    lineage: Lineage
    report: Report | None
    consents: list[Consent]
    restatements: list[Restatement] = Field(default_factory=list)
    problem: Problem | None
    reason: str | None = Field(description="what the publisher said when accepting or retiring it")
    progress: str | None = Field(default=None, description="what a draft is at, in words")


class VersionList(Document):
    versions: list[VersionView]


class PublishRequest(Document):
    """Make a version of a succeeded job. `promote`: make it stable when its checks pass."""

    job: str = Field(min_length=1, max_length=64)
    major: bool = Field(default=False, description="columns may be dropped or retyped; readers are told by the number")
    promote: bool = False


class PromoteRequest(Document):
    """Absent `version`: the newest that can be. `accept` names held checks that are let pass, for that `reason`."""

    version: str | None = Field(default=None, max_length=32)
    to: Channel = "stable"
    share: float = Field(default=0.0, ge=0, le=1)
    labels: list[str] = Field(default_factory=list, max_length=100)
    accept: list[CheckName] = Field(default_factory=list)
    reason: str | None = Field(default=None, max_length=1000)


class RollbackRequest(Document):
    """Absent `version`: the one that was stable before."""

    version: str | None = Field(default=None, max_length=32)
    reason: str | None = Field(default=None, max_length=1000)


class RetireRequest(Document):
    """Absent `version`: the whole product."""

    version: str | None = Field(default=None, max_length=32)
    reason: str | None = Field(default=None, max_length=1000)


class VersionDiff(Document):
    """Rows are told apart by key; `columns` tells what differs in the schema."""

    old: str
    new: str
    columns: list[Difference]
    added: int
    removed: int
    changed: int
    sessions: list[str] = Field(description="whose values changed")
    examples: list[Difference]


CatchUp = Literal["none", "last", "all"]


class ScheduleRequest(Document):
    """`cron` (5 fields) in `timezone`; with a `calendar` only on its sessions.

    `catch_up` is what becomes of times that passed while nothing ran: forgotten, the last of them, or all in order.
    With a `product` every run publishes a version, and promotes it where `promote` says so and its checks pass.
    """

    name: Annotated[str, StringConstraints(pattern=SCHEDULE_PATTERN)]
    cron: str = Field(min_length=1, max_length=200)
    timezone: str = Field(default="UTC", max_length=64)
    calendar: str | None = Field(default=None, max_length=16)
    catch_up: CatchUp = "last"
    job: JobRequest
    product: ProductName | None = None
    promote: bool = False


class ScheduleRun(Document):
    """One time that was due. `skipped` says why in `problem`."""

    due_at: datetime
    state: Literal["waiting", "running", "publishing", "succeeded", "failed", "skipped"]
    job: str | None
    version: str | None
    started_at: datetime | None
    finished_at: datetime | None
    problem: Problem | None


class ScheduleRunList(Document):
    runs: list[ScheduleRun]


class ScheduleView(Document):
    name: str
    owner: str
    cron: str
    timezone: str
    calendar: str | None
    catch_up: CatchUp
    product: str | None
    promote: bool
    job: JobRequest
    paused: bool
    created_at: datetime
    next_at: datetime | None
    runs: list[ScheduleRun] = Field(description="the newest first, ten at most")


class ScheduleList(Document):
    schedules: list[ScheduleView]
