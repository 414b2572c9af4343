"""The site protocol: what an agent says to the control plane (it always calls out) and what it is told.

Every call is a POST over mutual TLS with the site door; errors are problem documents. `session_lost` (409) means: say
hello again. `stale_fence` (409) on a report means: drop the attempt. Reports may be sent twice.

    /v1/site/hello                             Hello → Welcome
    /v1/site/catalogue                         CatalogueReport → 204
    /v1/site/poll                              Poll → PollReply, held back up to wait_s until there is something to say
    /v1/site/heartbeat                         Heartbeat → HeartbeatReply
    /v1/site/jobs/{job}/steps/{step}/start     Start → 204
    /v1/site/jobs/{job}/steps/{step}/finish    Finish → 204
    /v1/site/uploads/{upload}                  bytes → 204, with the headers Datacanal-Length (of the whole export) and
                                               Datacanal-Digest (its sha256 in hex); the body begins at the offset asked
    /v1/site/uploads/{upload}/refuse           Problem → 204
    /v1/site/products                          GET → SharedProducts, what a lake of data products has
    /v1/site/consents/{consent}                ConsentAnswer → 204
    /v1/site/consents/{consent}/refuse         Problem → 204

Before its first hello a site joins, with a one-time token, over the public API: `POST /v1/site/join`, Join → Joined;
`GET /v1/site/door` → Door says later where the door is now. From then on it speaks mutual TLS with the control plane's
site door, both sides pinned. What two sites cannot fetch from each other directly goes through the relay, which sees
cipher text only:

    /v1/site/relay                             RelayAsk → bytes, held open until the sender's agent serves it
    /v1/site/relays/{relay}                    bytes → 204, the sender's side of it
    /v1/site/relays/{relay}/refuse             Problem → 204
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from datacanal.protocol.base import Document
from datacanal.protocol.catalogue import DatasetReport, LakeReport
from datacanal.protocol.plan import Plan, PlanColumn, PythonEnvironment
from datacanal.protocol.problem import Problem
from datacanal.protocol.products import Consent

SITE_PROTOCOL = 1


class Join(Document):
    """Sent with the one-time token as bearer. `certificate` is the site's own, self-signed (PEM)."""

    site: str
    certificate: str


class Joined(Document):
    """What the site pins: the door's address and certificate (PEM), and the key that signs authorities (base64)."""

    door: str
    certificate: str
    issuer: str


class Door(Document):
    """Where the site door is now: `GET /v1/site/door`, asked by an agent that does not find it any more."""

    door: str


class RelayAsk(Document):
    """A fetch that goes through the control plane. The proof is what a direct fetch carries in its headers."""

    session: str
    site: str = Field(description="the sender")
    output: str
    offset: int = 0
    ticket: str
    time: str
    nonce: str
    signature: str
    ephemeral: str = Field(description="X25519 public key of the consumer for this fetch, base64; signed too")


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
    python: PythonEnvironment | None = Field(
        default=None, description="what functions find here; absent where none can run, or before it is known"
    )


class Welcome(Document):
    session: str
    lease_s: float
    heartbeat_s: float


class CatalogueReport(Document):
    """All datasets of the site, replacing what it reported before; so do the lakes, whose policies may change."""

    session: str
    datasets: list[DatasetReport]
    lakes: list[LakeReport] = Field(default_factory=list, description="those of the hello, as they are now")


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
    """A step to run. `authority` is the submitter's word to this site (see `protocol.authority`), verified by it."""

    authority: str
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
    """Send a released result to `/v1/site/uploads/{upload}`, beginning at `offset` of the bytes in that format.

    `authority` is the word of whoever asks for it: a result goes to its submitter.
    """

    kind: Literal["upload"] = "upload"
    upload: str
    job: str
    format: str
    offset: int = 0
    authority: str


class RefreshCommand(Document):
    """List a lake's files again and report; answers when the report has arrived."""

    kind: Literal["refresh"] = "refresh"
    lake: str | None = None


class DropCommand(Document):
    """Delete what is kept for a job: outputs, result, exports."""

    kind: Literal["drop"] = "drop"
    job: str


class RelayCommand(Document):
    """Serve a fetch to `/v1/site/relays/{relay}`, encrypted for its consumer."""

    kind: Literal["relay"] = "relay"
    relay: str
    ask: RelayAsk


class LogCommand(Document):
    """Release what the attempts of a job said to `/v1/site/uploads/{upload}`, if the policy lets it out."""

    kind: Literal["log"] = "log"
    upload: str
    job: str
    authority: str


class ConsentCommand(Document):
    """Say to `/v1/site/consents/{consent}` whether what the plan reads here may be published as the product's version.

    `statement` is the SQL as its submitter wrote it; of a function, that of its inputs. `authority` is the word of
    whoever publishes, for the job and its plan.
    """

    kind: Literal["consent"] = "consent"
    consent: str
    product: str
    version: str
    statement: str
    plan: Plan
    authority: str


Command = Annotated[
    UploadCommand | RefreshCommand | DropCommand | RelayCommand | LogCommand | ConsentCommand,
    Field(discriminator="kind"),
]


class ConsentAnswer(Document):
    """One answer for each dataset of the site that the plan reads."""

    consents: list[Consent]


class SharedProduct(Document):
    """A product's stable snapshot, as a dataset of jobs. `readers` null: every analyst."""

    name: str = Field(description="publisher.product")
    snapshot: str
    key: list[str]
    readers: list[str] | None


class SharedProducts(Document):
    """Those of the tenant, by name."""

    products: list[SharedProduct]


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


class EgressNote(Document):
    """What a site tells of one of its records: enough for the submitter, and the record's hash to hold it to."""

    seq: int
    hash: str
    at_ms: int
    decision: str
    kind: str
    step: str
    receivers: list[str] = Field(default_factory=list)
    policies: dict[str, str] = Field(default_factory=dict, description="lake to policy digest")
    rows: int = Field(default=0, description="rounded where the data is governed")
    bytes: int = 0
    digest: str = ""
    withheld_groups: int = 0
    reason: str = ""


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
    withheld_groups: int = Field(default=0, description="groups that the gate removed: how many, never which")
    egress: list[EgressNote] = Field(default_factory=list)


class Failed(Document):
    ok: Literal[False] = False
    problem: Problem
    elapsed_ms: int
    received: list[Received] = Field(default_factory=list)
    egress: list[EgressNote] = Field(default_factory=list)


class Start(Document):
    """The attempt begins to run."""

    session: str
    fence: int


class Finish(Document):
    session: str
    fence: int
    outcome: Annotated[Done | Failed, Field(discriminator="ok")]
