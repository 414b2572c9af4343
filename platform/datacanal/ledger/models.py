"""The tables of the book. Tenant and principal stand on every row; documents are stored as their JSON text."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index, MetaData, String, Text, UniqueConstraint, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import BigInteger

from datacanal.domain.usage import Dimension, EventKind, Outcome, Period
from datacanal.state.base import UtcDateTime
from datacanal.storage.tables import COUNTER, NAMING, Owned, one_of

_ID = String(64)
_PRODUCT = String(127)
_DIGEST = String(64)


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map = {datetime: UtcDateTime(), str: Text()}  # noqa: RUF012  # SQLAlchemy reads it from the class


TABLES = Base.metadata


# ---------------------------------------------------------------- who may call


class ChangeRow(Owned, Base):
    """Counts the changes of accounts, subscriptions, keys and tariffs: gateways forget what they read when it grows."""

    __tablename__ = "changes"

    id: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(BigInteger)


class AccountRow(Owned, Base):
    """Who pays. `principal` owns it: whoever's token or sign-in has this name. `subject` is theirs at the `issuer`."""

    __tablename__ = "accounts"
    __table_args__ = (
        UniqueConstraint("tenant", "name"),
        UniqueConstraint("tenant", "principal"),
        UniqueConstraint("issuer", "subject"),
    )

    id: Mapped[str] = mapped_column(_ID, primary_key=True)
    name: Mapped[str] = mapped_column(String(128))
    issuer: Mapped[str | None] = mapped_column(String(500))
    subject: Mapped[str | None] = mapped_column(String(255))
    webhook: Mapped[str | None]
    webhook_turn: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime]
    closed_at: Mapped[datetime | None]


class TariffRow(Owned, Base):
    """What a product costs and allows; its publisher's. `document` is a `protocol.money.Tariff`; never changed."""

    __tablename__ = "tariffs"
    __table_args__ = (Index(None, "tenant", "product"),)

    id: Mapped[str] = mapped_column(_ID, primary_key=True)
    product: Mapped[str] = mapped_column(_PRODUCT)
    name: Mapped[str] = mapped_column(String(64))
    document: Mapped[str]
    created_at: Mapped[datetime]
    withdrawn_at: Mapped[datetime | None]


_OPEN = text("state IN ('pending', 'active')")


class SubscriptionRow(Owned, Base):
    """An account's right to a product; `principal` asked for it. One account has one open subscription to a product.

    `quotas` and `burst` are what it is held to, as JSON: the tariff's, or what the publisher agreed to instead.
    It is paid for from `decided_at` on, which is when it was made where nobody was asked, until `ended_at`.
    """

    __tablename__ = "subscriptions"
    __table_args__ = (
        one_of("state", ("pending", "active", "refused", "ended")),
        Index(
            "ux_subscriptions_open", "account_id", "product", unique=True, sqlite_where=_OPEN, postgresql_where=_OPEN
        ),
        Index(None, "tenant", "product"),
    )

    id: Mapped[str] = mapped_column(_ID, primary_key=True)
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id"))
    product: Mapped[str] = mapped_column(_PRODUCT)
    tariff_id: Mapped[str | None] = mapped_column(ForeignKey("tariffs.id"))
    state: Mapped[str] = mapped_column(String(16))
    purpose: Mapped[str]
    unit: Mapped[str] = mapped_column(String(16))
    quotas: Mapped[str]
    burst: Mapped[str | None]
    reason: Mapped[str | None]
    created_at: Mapped[datetime]
    decided_by: Mapped[str | None] = mapped_column(String(128))
    decided_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]


class KeyRow(Owned, Base):
    """An API key; `principal` made it. `digest` is HMAC-SHA256 of its secret under the home's pepper."""

    __tablename__ = "keys"
    __table_args__ = (one_of("mode", ("live", "test")), Index(None, "subscription_id"))

    id: Mapped[str] = mapped_column(_ID, primary_key=True)
    subscription_id: Mapped[str] = mapped_column(ForeignKey("subscriptions.id"))
    name: Mapped[str] = mapped_column(String(128))
    mode: Mapped[str] = mapped_column(String(8))
    digest: Mapped[str] = mapped_column(_DIGEST)
    last_four: Mapped[str] = mapped_column(String(4))
    scopes: Mapped[str]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]


# ---------------------------------------------------------------- what is left


class MeterRow(Owned, Base):
    """What of a period is used and held. `noticed` is the highest percentage that was told."""

    __tablename__ = "meters"
    __table_args__ = (one_of("dimension", Dimension), one_of("period", Period))

    subscription_id: Mapped[str] = mapped_column(ForeignKey("subscriptions.id"), primary_key=True)
    start: Mapped[datetime] = mapped_column(primary_key=True)
    dimension: Mapped[str] = mapped_column(String(16), primary_key=True)
    period: Mapped[str] = mapped_column(String(8), primary_key=True)
    used: Mapped[int] = mapped_column(BigInteger, default=0)
    held: Mapped[int] = mapped_column(BigInteger, default=0)
    noticed: Mapped[int] = mapped_column(default=0)


class BurstRow(Owned, Base):
    """A counter of the burst limits, as the `limits` library keeps it; `until` is seconds since 1970."""

    __tablename__ = "bursts"

    key: Mapped[str] = mapped_column(String(255), primary_key=True)
    count: Mapped[int] = mapped_column(BigInteger)
    until: Mapped[float]


class GatewayRow(Owned, Base):
    """A running gateway, and when it last said that it lives; `beats` is how often it did."""

    __tablename__ = "gateways"

    id: Mapped[str] = mapped_column(_ID, primary_key=True)
    seen_at: Mapped[datetime]
    beats: Mapped[int] = mapped_column(BigInteger)


class _Call:
    """What a hold and an event both say of a call."""

    account_id: Mapped[str] = mapped_column(String(200))
    subscription_id: Mapped[str | None] = mapped_column(_ID)
    key_id: Mapped[str | None] = mapped_column(_ID)
    request_id: Mapped[str] = mapped_column(String(300))
    product: Mapped[str | None] = mapped_column(_PRODUCT)
    version: Mapped[str | None] = mapped_column(String(32))
    snapshot: Mapped[str | None] = mapped_column(_ID)
    query_digest: Mapped[str | None] = mapped_column(_DIGEST)
    policy_digest: Mapped[str | None] = mapped_column(_DIGEST)
    tariff_id: Mapped[str | None] = mapped_column(_ID)
    unit: Mapped[str] = mapped_column(String(16))
    calls: Mapped[int] = mapped_column(BigInteger)
    rows: Mapped[int] = mapped_column(BigInteger)
    bytes: Mapped[int] = mapped_column(BigInteger)
    compute_ms: Mapped[int] = mapped_column(BigInteger)
    reserved_at: Mapped[datetime]
    corrects: Mapped[str | None] = mapped_column(_ID)


class HoldRow(_Call, Owned, Base):
    """A reservation that is not settled; `id` is the receipt's, the amounts are what is reserved."""

    __tablename__ = "holds"
    __table_args__ = (UniqueConstraint("account_id", "request_id"), Index(None, "gateway_id"))

    id: Mapped[str] = mapped_column(_ID, primary_key=True)
    gateway_id: Mapped[str] = mapped_column(_ID)


# ---------------------------------------------------------------- what was used


class BookRow(Owned, Base):
    """The end of the book: the last event's number, hash and time, and until when periods are closed.

    `writer` names the last transaction that wrote anything a meter keeps; see `ledger.kept`.
    """

    __tablename__ = "book"

    id: Mapped[int] = mapped_column(primary_key=True)
    seq: Mapped[int] = mapped_column(BigInteger)
    head: Mapped[str] = mapped_column(_DIGEST)
    at: Mapped[datetime]
    closed_until: Mapped[datetime]
    writer: Mapped[str] = mapped_column(_ID, server_default="")


_CORRECTING = text("corrects IS NOT NULL")


class EventRow(_Call, Owned, Base):
    """A usage event. Never changed and never removed; `id` is the receipt's. `domain.chain` says what is hashed.

    `units` may be below 0 in an adjustment. The last three amounts are those of jobs.
    """

    __tablename__ = "events"
    __table_args__ = (
        one_of("kind", EventKind),
        one_of("outcome", Outcome),
        UniqueConstraint("account_id", "request_id"),
        Index(None, "account_id", "at"),
        Index(None, "tenant", "product", "at"),
        Index(None, "subscription_id", "reserved_at"),
        Index(None, "corrects", sqlite_where=_CORRECTING, postgresql_where=_CORRECTING),
    )

    seq: Mapped[int] = mapped_column(COUNTER, primary_key=True, autoincrement=False)
    id: Mapped[str] = mapped_column(_ID, unique=True)
    kind: Mapped[str] = mapped_column(String(16))
    outcome: Mapped[str] = mapped_column(String(16))
    units: Mapped[int] = mapped_column(BigInteger)
    scan_bytes: Mapped[int] = mapped_column(BigInteger)
    egress_bytes: Mapped[int] = mapped_column(BigInteger)
    worker_ms: Mapped[int] = mapped_column(BigInteger)
    reason: Mapped[str | None]
    at: Mapped[datetime]
    hash: Mapped[str] = mapped_column(_DIGEST)


class CheckpointRow(Owned, Base):
    """A signed word that the book's first `count` events end in `head`; see `domain.checkpoint`. Never changed."""

    __tablename__ = "checkpoints"

    number: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    count: Mapped[int] = mapped_column(BigInteger)
    head: Mapped[str] = mapped_column(_DIGEST)
    at: Mapped[datetime]
    previous: Mapped[str] = mapped_column(_DIGEST)
    key: Mapped[str] = mapped_column(_DIGEST)
    signature: Mapped[str]


# ---------------------------------------------------------------- what it came to


class InvoiceRow(Owned, Base):
    """An invoice or credit note that was issued; `document` is a `protocol.money.Invoice`. Never changed.

    `principal` is the account's, `seller` the publisher whose products it is for.
    """

    __tablename__ = "invoices"
    __table_args__ = (
        one_of("kind", ("invoice", "credit_note")),
        UniqueConstraint("tenant", "number"),
        Index(None, "account_id", "start"),
    )

    id: Mapped[str] = mapped_column(_ID, primary_key=True)
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id"))
    seller: Mapped[str] = mapped_column(String(128))
    kind: Mapped[str] = mapped_column(String(16))
    number: Mapped[str] = mapped_column(String(64))
    start: Mapped[datetime]
    currency: Mapped[str] = mapped_column(String(3))
    corrects: Mapped[str | None] = mapped_column(ForeignKey("invoices.id"))
    document: Mapped[str]
    issued_at: Mapped[datetime]


class NoticeRow(Owned, Base):
    """Something that an account is to be told by its webhook; `body` is the JSON that is sent."""

    __tablename__ = "notices"
    __table_args__ = (
        one_of("state", ("waiting", "delivered", "failed")),
        UniqueConstraint("account_id", "cause"),
        Index(None, "state", "due_at"),
    )

    id: Mapped[str] = mapped_column(_ID, primary_key=True)
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id"))
    cause: Mapped[str] = mapped_column(String(300))
    body: Mapped[str]
    state: Mapped[str] = mapped_column(String(16))
    attempts: Mapped[int] = mapped_column(default=0)
    due_at: Mapped[datetime]
    created_at: Mapped[datetime]
    delivered_at: Mapped[datetime | None]
    problem: Mapped[str | None]
