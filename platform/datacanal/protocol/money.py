"""Tariffs, usage, invoices and margins. Money is text with all digits of its currency; prices are exact decimals."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from datacanal.domain.money import CURRENCIES
from datacanal.domain.usage import MOST_AMOUNT
from datacanal.protocol.base import Document

PRICE_PATTERN = r"^[0-9]{1,12}(\.[0-9]{1,12})?$"
TARIFF_PATTERN = r"^[a-z][a-z0-9_-]{0,62}$"
MONTH_PATTERN = r"^[0-9]{4}-(0[1-9]|1[0-2])$"
Price = Annotated[str, StringConstraints(pattern=PRICE_PATTERN)]
TariffName = Annotated[str, StringConstraints(pattern=TARIFF_PATTERN)]
Month = Annotated[str, StringConstraints(pattern=MONTH_PATTERN)]
Unit = Literal["calls", "rows", "bytes", "compute_ms"]
QuotaPeriod = Literal["hour", "day", "month"]


def _known_currency(code: str) -> str:
    if code not in CURRENCIES:
        raise ValueError("a currency of ISO 4217 is needed, such as CNY, EUR or USD")
    return code


Currency = Annotated[str, AfterValidator(_known_currency)]


# ---------------------------------------------------------------- tariffs


class TariffTier(Document):
    """Units of a month up to and with that number, counted beyond the included ones; absent in the last tier."""

    up_to: int | None = Field(default=None, ge=1, le=MOST_AMOUNT)
    price: Price


class TariffQuota(Document):
    """At most so much per period (UTC); a soft one warns and lets through."""

    dimension: Unit
    amount: int = Field(ge=1, le=MOST_AMOUNT)
    period: QuotaPeriod
    soft: bool = False


class TariffBurst(Document):
    """At most so many calls within so many seconds."""

    calls: int = Field(ge=1, le=1_000_000)
    window_s: int = Field(default=1, ge=1, le=3600)


class Tariff(Document):
    """What a subscription costs per month (UTC) and allows.

    A unit is one of `unit`; `price`, or those of the `tiers`, are for `per` units. `graduated`: each unit costs what
    its tier says; `volume`: all of them what the tier says that the last one is in. `flat` is charged for every month
    in which the subscription was active, whole. An `unlisted` tariff is shown to nobody but the publisher; whoever is
    told its id can subscribe to it. With `approval` the publisher decides on each subscription.
    """

    name: TariffName
    unit: Unit = "rows"
    currency: Currency
    flat: Price = "0"
    price: Price | None = None
    tiers: list[TariffTier] | None = Field(default=None, min_length=1, max_length=100)
    counting: Literal["graduated", "volume"] = "graduated"
    per: int = Field(default=1, ge=1, le=2**50)
    included: int = Field(default=0, ge=0, le=MOST_AMOUNT)
    minimum: Price = "0"
    rounding: Literal["half_up", "half_even", "down", "up"] = "half_up"
    quotas: list[TariffQuota] = Field(default_factory=list, max_length=12)
    burst: TariffBurst | None = None
    approval: bool = False
    visibility: Literal["listed", "unlisted"] = "listed"

    @model_validator(mode="after")
    def _one_kind_of_price(self) -> Self:
        if (self.price is None) == (self.tiers is None):
            raise ValueError("give either price or tiers")
        return self

    @model_validator(mode="after")
    def _tiers_grow(self) -> Self:
        ends = [tier.up_to for tier in self.tiers or []]
        inner = [end for end in ends[:-1] if end is not None]
        if ends and (ends[-1] is not None or len(inner) < len(ends) - 1 or inner != sorted(set(inner))):
            raise ValueError("tiers: up_to grows from tier to tier, and the last one alone has none")
        return self

    @model_validator(mode="after")
    def _quotas_differ(self) -> Self:
        if len({(quota.dimension, quota.period) for quota in self.quotas}) < len(self.quotas):
            raise ValueError("quotas: only one of a dimension and period")
        return self


class TariffView(Document):
    """A tariff as it is offered; withdrawn, it holds on for those who have it."""

    id: str
    product: str
    seller: str = Field(description="the publisher")
    tariff: Tariff
    created_at: datetime
    withdrawn_at: datetime | None


class TariffList(Document):
    tariffs: list[TariffView]


# ---------------------------------------------------------------- usage


class Money(Document):
    currency: str
    amount: str


class UsageLine(Document):
    """What one day, product, subscription or key came to. `money` is null where a month's tiers cannot be split."""

    key: str
    product: str | None = None
    calls: int
    rows: int
    bytes: int
    compute_ms: int
    units: int
    money: list[Money] | None = None


class Usage(Document):
    """`lines` in the order of their keys; `money` is what the month comes to so far, by currency."""

    period: str
    group_by: Literal["day", "product", "subscription", "key"]
    lines: list[UsageLine]
    total: UsageLine
    money: list[Money]


# ---------------------------------------------------------------- invoices


class Party(Document):
    id: str
    name: str


class BookEnd(Document):
    """The book as far as an invoice counts it: so many events, whose chain ends in `head`."""

    events: int
    head: str


class InvoiceLine(Document):
    """`units` at `price` per `per` of them; `receipts` is how many events the line is made of."""

    number: int
    subscription: str
    product: str
    tariff: str
    item: Literal["flat", "included", "units", "credit", "minimum", "adjustment"]
    text: str
    unit: Unit
    units: int
    price: str | None
    per: int
    amount: str
    receipts: int


class Invoice(Document):
    """An invoice, a credit note (`corrects` one), or what an invoice would say by now: its id and number are `preview`.

    Nothing of what was issued ever changes.
    """

    id: str
    number: str
    kind: Literal["invoice", "credit_note"]
    seller: str
    account: Party
    period: str
    start: datetime
    end: datetime
    currency: str
    lines: list[InvoiceLine]
    total: str
    book: BookEnd
    issued_at: datetime | None
    corrects: str | None = Field(default=None, description="the number of the invoice that a credit note is to")
    reason: str | None = None


class InvoiceList(Document):
    invoices: list[Invoice]
    next: str | None = Field(description="the address of the next page")


class CloseRequest(Document):
    """A month that is over; those before it that are not closed are closed with it."""

    period: Month


class CreditRequest(Document):
    reason: str = Field(min_length=1, max_length=1000)


class InvoiceReceipt(Document):
    """An event that an invoice's line counts."""

    receipt: str
    seq: int
    at: datetime
    kind: str
    calls: int
    rows: int
    bytes: int
    compute_ms: int
    units: int
    corrects: str | None
    hash: str


class InvoiceReceipts(Document):
    receipts: list[InvoiceReceipt]
    next: int | None = Field(description="what `after` is for the following page")


# ---------------------------------------------------------------- margin


class JobCosts(Document):
    """What the jobs of a product used, and what that costs by the service's rates."""

    jobs: int
    scan_bytes: int
    egress_bytes: int
    worker_ms: int
    scan: str
    egress: str
    workers: str
    total: str


class Margin(Document):
    """`revenue` by currency; `margin` is what of the costs' currency is left."""

    product: str
    period: str
    currency: str
    revenue: list[Money]
    costs: JobCosts
    margin: str
    is_closed: bool
