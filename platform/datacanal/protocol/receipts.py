"""Receipts and what proves them: signed events, checkpoints, reconciliation, adjustments."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Discriminator, Field, StringConstraints, Tag

from datacanal.protocol.base import Document
from datacanal.protocol.money import MONTH_PATTERN

MOST_RECEIPTS = 10_000
"""How many receipts are reconciled at once."""
ReceiptId = Annotated[str, StringConstraints(min_length=1, max_length=64)]
Month = Annotated[str, StringConstraints(pattern=MONTH_PATTERN)]
Unit = Literal["calls", "rows", "bytes", "compute_ms"]


class CheckpointView(Document):
    """A signed word that the ledger's first `count` events end in the hash `head`.

    `signature` (Ed25519, hex) is of the lines `datacanal.checkpoint.v1`, number, count, head, at, previous, key.
    """

    number: int
    count: int
    head: str
    at: str = Field(description="an instant in UTC with microseconds, as it is signed")
    previous: str = Field(description="sha256 of the previous checkpoint's signature")
    key: str = Field(description="sha256 of the public key")
    signature: str


class Proof(Document):
    """The way from an event to its checkpoint: the hash before it, and the digests of those after it.

    A hash is sha256 of the hash before it, a line feed and the digest of the event.
    """

    before: str
    after: list[str]


class Receipt(Document):
    """What a call came to. `reserved`: it is under way; `recorded`: in the ledger; `sealed`: under a checkpoint.

    The amounts of a reserved one are what is set aside; it has no number, time and hash yet.
    """

    state: Literal["reserved", "recorded", "sealed"]
    id: str
    seq: int | None = None
    kind: Literal["usage", "aborted", "adjust", "job"] = "usage"
    outcome: Literal["complete", "partial", "aborted"] | None = None
    at: datetime | None = None
    reserved_at: datetime
    tenant: str
    principal: str
    account_id: str
    subscription_id: str | None
    key_id: str | None
    request_id: str
    product: str | None
    version: str | None
    snapshot: str | None
    query_digest: str | None
    policy_digest: str | None
    tariff_id: str | None
    unit: Unit
    calls: int
    rows: int
    bytes: int
    compute_ms: int
    units: int
    scan_bytes: int = 0
    egress_bytes: int = 0
    worker_ms: int = 0
    corrects: str | None
    reason: str | None = None
    hash: str | None = None
    checkpoint: CheckpointView | None = None
    proof: Proof | None = None


class LedgerKeyView(Document):
    """The public key (Ed25519, hex) that checkpoints are signed with, and its sha256."""

    public: str
    key: str


class NamedReceipt(Document):
    """A receipt as a caller has noted it; figures that are given are compared."""

    id: ReceiptId
    calls: int | None = None
    rows: int | None = None
    bytes: int | None = None
    compute_ms: int | None = None
    units: int | None = None


def _shape_of(given: object) -> str:
    return "id" if isinstance(given, str) else "receipt"


Named = Annotated[Annotated[ReceiptId, Tag("id")] | Annotated[NamedReceipt, Tag("receipt")], Discriminator(_shape_of)]


class ReconcileRequest(Document):
    """The receipts that a caller holds of a month (`2026-11`), of a span of time, or of any time."""

    receipts: list[Named] = Field(max_length=MOST_RECEIPTS)
    period: Month | None = None
    since: datetime | None = Field(default=None, description="events from then on, with a time zone")
    until: datetime | None = Field(default=None, description="events before then, with a time zone")
    account: Annotated[str, StringConstraints(min_length=1, max_length=200)] | None = Field(
        default=None, description="for admins: whose; else the caller's own"
    )


class Difference(Document):
    """A figure that is another one in the ledger."""

    id: str
    field: str
    given: int
    recorded: int


class Reconciliation(Document):
    """`missing` are not in the ledger, `reserved` under way, `unnamed` in the ledger and not among those given.

    `unnamed` holds at most 10,000, the oldest; `has_more` says that there are more.
    """

    matched: int
    missing: list[str]
    reserved: list[str]
    unnamed: list[NamedReceipt]
    has_more: bool
    differing: list[Difference]


Signed = Annotated[int, Field(strict=True)]


class AdjustmentRequest(Document):
    """A correction of a call: what is added to it, or given back (below 0).

    Units are those of the tariff, so the amount that `unit` of the receipt names follows them, and they it.
    """

    receipt: ReceiptId
    units: Signed = 0
    calls: Signed = 0
    rows: Signed = 0
    bytes: Signed = 0
    compute_ms: Signed = 0
    reason: str = Field(min_length=1, max_length=1000)
