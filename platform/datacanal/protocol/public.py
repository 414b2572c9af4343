"""The public API: what clients send and get."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, JsonValue, StringConstraints

from datacanal.protocol.base import Document
from datacanal.protocol.catalogue import DatasetColumn
from datacanal.protocol.plan import Plan, PythonEnvironment
from datacanal.protocol.problem import Problem

MAX_PICKLE_BYTES = 512 * 1024
MAX_SOURCE = 65_536
RESULT_FORMATS = ("arrow", "parquet", "csv", "json")
ResultFormat = Literal["arrow", "parquet", "csv", "json"]
Role = Literal["admin", "operator", "steward", "analyst", "publisher", "developer", "site"]
Name = Annotated[str, StringConstraints(min_length=1, max_length=128)]


class Timeouts(Document):
    """Seconds; absent ones take the service's limits, larger ones than those are refused."""

    queue_timeout_s: float | None = Field(default=None, gt=0)
    run_timeout_s: float | None = Field(default=None, gt=0)
    total_timeout_s: float | None = Field(default=None, gt=0)


class PythonRequest(Document):
    """A function with what it reads and what it returns; parameters are the job's `params`.

    `columns` is the contract: names and DuckDB types, in order, of the table that it returns.
    """

    site: Name
    name: Name
    code: str = Field(description="cloudpickle of the function, base64; the pickle has at most 512 KiB")
    source: str = Field(max_length=MAX_SOURCE)
    environment: PythonEnvironment
    parameters: dict[Name, str] = Field(default_factory=dict, description="type of each declared parameter, in words")
    datasets: list[Name] = Field(default_factory=list, max_length=64, description="written lake.dataset, of the site")
    inputs: dict[Name, str] = Field(default_factory=dict, max_length=16, description="SQL over any sites, by name")
    columns: dict[Name, str] = Field(min_length=1, max_length=1000)
    workers: int = Field(default=1, ge=0, le=64)
    memory: str = "1GiB"
    image: str | None = Field(
        default=None, pattern="^sha256:[0-9a-f]{64}$", description="id of one that the site allows; null: its own"
    )


class JobRequest(Document):
    """A `sql` job has `sql`, a `python` job has `python`."""

    kind: Literal["sql", "python", "pipeline"] = "sql"
    sql: str = ""
    python: PythonRequest | None = None
    params: dict[str, JsonValue] = Field(default_factory=dict)
    timeouts: Timeouts = Timeouts()
    purpose: str | None = Field(default=None, max_length=1000)


class StepView(Document):
    id: str
    site: str
    kind: str
    state: str
    attempt: int
    fraction: float
    rows: int | None = None
    bytes: int | None = None
    elapsed_ms: int | None = None
    waits: str | None = None


class TransferStats(Document):
    """`from`, `to` are sites."""

    from_: str = Field(alias="from", serialization_alias="from")
    to: str
    kind: str
    rows: int
    bytes_wire: int
    bytes_estimated: int


class StepStats(Document):
    id: str
    site: str
    kind: str
    elapsed_ms: int


class JobStats(Document):
    """What `--stats` writes. `bytes_moved` is the body bytes of all transfers between sites, failed tries included."""

    job_id: str
    state: str
    elapsed_ms: int
    bytes_scanned: int
    bytes_moved: int
    result_rows: int | None
    withheld_groups: int = Field(default=0, description="groups that policies kept in: how many, never which")
    transfers: list[TransferStats]
    steps: list[StepStats]


class JobView(Document):
    id: str
    kind: str
    state: str
    cancel_requested: bool
    principal: str
    purpose: str | None
    sql: str
    params: dict[str, JsonValue]
    timeouts: Timeouts
    submitted_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    retry_of: str | None
    waits: str | None = Field(description="why the job does not run yet, in words; null when it does not wait")
    problem: Problem | None
    plan: Plan | None
    steps: list[StepView]
    stats: JobStats
    result: ResultView | None
    worker_ms: int = Field(default=0, description="the time of all attempts' workers together")
    receipt: str | None = Field(default=None, description="of what it used, as soon as that stands in the ledger")


class ResultView(Document):
    site: str
    rows: int
    bytes: int
    expires_at: datetime
    withheld_groups: int = Field(default=0, description="groups that are missing: too small for an owner's policy")
    columns: list[ResultColumn]


class ResultColumn(Document):
    name: str
    type: str = Field(description="DuckDB type")


class JobSummary(Document):
    id: str
    kind: str
    state: str
    principal: str
    submitted_at: datetime
    finished_at: datetime | None
    sql: str = Field(description="the first 200 characters")


class JobList(Document):
    jobs: list[JobSummary]
    next: str | None = Field(description="pass as ?after= for the next page")


class Explanation(Document):
    """A plan with its estimates; nothing ran."""

    plan: Plan
    text: str = Field(description="the same for people")


class AttemptView(Document):
    step: str
    site: str
    attempt: int
    fence: int
    started_at: datetime
    finished_at: datetime | None
    outcome: str
    problem: Problem | None
    said: str = Field(default="", description="its own words, where they were asked for and its site released them")
    cut: bool = Field(default=False, description="there is more, which stays at the site")
    kept: Problem | None = Field(default=None, description="why its words stay at the site")


class JobLogs(Document):
    job: str
    attempts: list[AttemptView]


class EgressView(Document):
    """An entry of a site's own record that concerns the job; `seq` and `hash` hold the site to it."""

    site: str
    seq: int
    hash: str
    at: datetime
    decision: str = Field(description="released, refused, served or accepted")
    kind: str = Field(description="step, transfer, result or log")
    step: str
    receivers: list[str]
    policies: dict[str, str] = Field(description="lake to the digest of its policy")
    rows: int = Field(description="rounded where the data is governed")
    bytes: int
    digest: str
    withheld_groups: int
    reason: str


class JobEgress(Document):
    """What sites let out, or kept in, for the job, as they told with the reports of its steps; in order of time."""

    job: str
    entries: list[EgressView]


class Event(Document):
    """One line of `/v1/jobs/{id}/events`; `seq` is the SSE id."""

    seq: int
    at: datetime
    job: str
    event: str
    data: dict[str, JsonValue]


class SiteView(Document):
    name: str
    connected: bool
    seen_at: datetime | None
    kernel: str | None
    slots: int
    lakes: list[str]
    waits: str | None = Field(default=None, description="why it takes no work, in words")


class SiteList(Document):
    sites: list[SiteView]


class LakeView(Document):
    name: str
    site: str
    policy_digest: str
    datasets: int
    problem: Problem | None


class LakeList(Document):
    lakes: list[LakeView]


class DatasetView(Document):
    lake: str
    name: str
    site: str
    snapshot: str | None
    files: int
    rows: int
    bytes: int
    key: list[str]
    columns: list[DatasetColumn]
    problem: Problem | None


class DatasetList(Document):
    datasets: list[DatasetView]


class TokenRequest(Document):
    name: Name
    role: Role
    groups: list[Name] = Field(default_factory=list, max_length=64)
    expires: datetime | None = Field(default=None, description="with a time zone")


class TokenView(Document):
    id: str
    name: str
    role: Role
    groups: list[str]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    used_at: datetime | None = Field(default=None, description="when its site joined with it; it is used up since")


class TokenList(Document):
    tokens: list[TokenView]


class NewToken(Document):
    """`secret` is shown this once."""

    token: TokenView
    secret: str


class Health(Document):
    status: Literal["ready", "starting"]
    version: str
    sites: dict[str, bool] = Field(description="site name to whether it is connected")
