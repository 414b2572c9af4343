"""The site protocol: what an agent says to the control plane (it always calls out) and what it is told.

Every call is a POST with the site's bearer token; errors are problem documents. `session_lost` (409) means: say hello
again. `stale_fence` (409) on a report means: drop the attempt. Reports may be sent twice.

    /v1/site/hello                             Hello → Welcome
    /v1/site/catalogue                         CatalogueReport → 204
    /v1/site/poll                              Poll → PollReply, held back up to wait_s until there is something to say
    /v1/site/heartbeat                         Heartbeat → HeartbeatReply
    /v1/site/jobs/{job}/steps/{step}/start     Start → 204
    /v1/site/jobs/{job}/steps/{step}/finish    Finish → 204
    /v1/site/uploads/{upload}                  bytes → 204, with the headers Datacanal-Length (of the whole export) and
                                               Datacanal-Digest (its sha256 in hex); the body begins at the offset asked
    /v1/site/uploads/{upload}/refuse           Problem → 204
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from datacanal.protocol.base import Document
from datacanal.protocol.catalogue import DatasetReport, LakeReport
from datacanal.protocol.plan import Plan, PlanColumn
from datacanal.protocol.problem import Problem

SITE_PROTOCOL = 1


class Hello(Document):
    """The first call after an agent starts. A new `boot` of the same `instance` frees the old one's leases at once."""

    site: str
    instance: str
    boot: str
    protocol: int
    plan_formats: list[int]
    kernel: str
    functions: str
    exchange: str = Field(description="base URL where other sites fetch transfers")
    public_key: str = Field(description="Ed25519 public key of the agent, base64; tickets are bound to it")
    slots: int
    lakes: list[LakeReport]


class Welcome(Document):
    session: str
    lease_s: float
    heartbeat_s: float


class CatalogueReport(Document):
    """All datasets of the site, replacing what it reported before."""

    session: str
    datasets: list[DatasetReport]


class Poll(Document):
    session: str
    free: int = Field(ge=0)
    wait_s: float = Field(default=20, ge=0, le=60)


class Offer(Document):
    """An output that waits at its sender: where to fetch it and the ticket that its sender minted for the consumer."""

    output: str
    step: str
    site: str
    url: str
    ticket: str
    rows: int
    bytes: int
    digest: str = Field(description="sha256 of the stream, hex")
    columns: list[PlanColumn]


class Consumer(Document):
    """Who will fetch the output of the leased step."""

    step: str
    site: str
    public_key: str


class Lease(Document):
    job: str
    step: str = Field(description="id inside the plan")
    fence: int
    attempt: int
    tenant: str
    principal: str
    purpose: str | None
    plan: Plan
    plan_digest: str
    inputs: list[Offer]
    consumers: list[Consumer]
    is_result: bool
    result_expiry_s: float


class StepRef(Document):
    job: str
    step: str
    fence: int


class UploadCommand(Document):
    """Send a released result to `/v1/site/uploads/{upload}`, beginning at `offset` of the bytes in that format."""

    kind: Literal["upload"] = "upload"
    upload: str
    job: str
    format: str
    offset: int = 0


class RefreshCommand(Document):
    """List a lake's files again and report; answers when the report has arrived."""

    kind: Literal["refresh"] = "refresh"
    lake: str | None = None


class DropCommand(Document):
    """Delete what is kept for a job: outputs, result, exports."""

    kind: Literal["drop"] = "drop"
    job: str


Command = Annotated[UploadCommand | RefreshCommand | DropCommand, Field(discriminator="kind")]


class PollReply(Document):
    leases: list[Lease] = Field(default_factory=list)
    cancels: list[StepRef] = Field(default_factory=list)
    commands: list[Command] = Field(default_factory=list)


class Progress(Document):
    job: str
    step: str
    fence: int
    fraction: float = Field(default=0, ge=0, le=1)
    waits: str | None = Field(default=None, description="why the step does not run yet, in words")


class Heartbeat(Document):
    session: str
    steps: list[Progress]


class HeartbeatReply(Document):
    """`stop` lists the steps that this agent must end: cancelled, or taken over by another fence."""

    stop: list[StepRef]


class Received(Document):
    """A transfer as it arrived, a failed try's bytes included."""

    step: str
    rows: int
    bytes: int


class Done(Document):
    """A finished step. `offer` is given where another step consumes the output, one per consumer site."""

    ok: Literal[True] = True
    output: str
    rows: int
    bytes: int
    digest: str
    columns: list[PlanColumn]
    offers: list[Offer]
    scanned_bytes: int
    elapsed_ms: int
    received: list[Received]
    said: str = ""


class Failed(Document):
    ok: Literal[False] = False
    problem: Problem
    elapsed_ms: int
    received: list[Received] = Field(default_factory=list)
    said: str = ""


class Start(Document):
    """The attempt begins to run."""

    session: str
    fence: int


class Finish(Document):
    session: str
    fence: int
    outcome: Annotated[Done | Failed, Field(discriminator="ok")]
