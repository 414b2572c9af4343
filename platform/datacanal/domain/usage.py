"""Usage: what a call came to, what a subscription is held to, and the periods that both count in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from operator import attrgetter


class Dimension(StrEnum):
    """What is counted."""

    CALLS = "calls"
    ROWS = "rows"
    BYTES = "bytes"
    COMPUTE_MS = "compute_ms"


class Period(StrEnum):
    """What a quota is for: a whole hour, day or month in UTC."""

    HOUR = "hour"
    DAY = "day"
    MONTH = "month"


class EventKind(StrEnum):
    """`usage` of a call, a call that was `aborted` and costs nothing, a correction (`adjust`), what a `job` used."""

    USAGE = "usage"
    ABORTED = "aborted"
    ADJUST = "adjust"
    JOB = "job"


class Outcome(StrEnum):
    """Whether the answer was sent to its end."""

    COMPLETE = "complete"
    PARTIAL = "partial"
    ABORTED = "aborted"


MOST_AMOUNT = 2**62
"""No amount and no quota is larger, so that sums stay within what databases count in."""


@dataclass(frozen=True, slots=True)
class Amounts:
    """What one or many calls came to. Bytes are those of the uncompressed body."""

    calls: int = 0
    rows: int = 0
    bytes: int = 0
    compute_ms: int = 0

    def of(self, dimension: Dimension) -> int:
        """The amount of that dimension."""
        return of_dimension(dimension)(self)

    def __add__(self, other: Amounts) -> Amounts:
        return Amounts(
            self.calls + other.calls,
            self.rows + other.rows,
            self.bytes + other.bytes,
            self.compute_ms + other.compute_ms,
        )

    def __sub__(self, other: Amounts) -> Amounts:
        return Amounts(
            self.calls - other.calls,
            self.rows - other.rows,
            self.bytes - other.bytes,
            self.compute_ms - other.compute_ms,
        )


def of_dimension(dimension: Dimension) -> Callable[[object], int]:
    """What gives the amount of that dimension, of whatever has amounts."""
    return _OF[dimension]


_OF: Mapping[Dimension, Callable[[object], int]] = {each: attrgetter(each.value) for each in Dimension}


@dataclass(frozen=True, slots=True)
class Quota:
    """At most so much per period; a `soft` one warns and lets through."""

    dimension: Dimension
    amount: int
    period: Period
    soft: bool = False

    @property
    def name(self) -> str:
        """What the RateLimit fields call it: `rows-day`."""
        return f"{self.dimension}-{self.period}"


@dataclass(frozen=True, slots=True)
class Burst:
    """At most so many calls within so many seconds."""

    calls: int
    window_s: int = 1


@dataclass(frozen=True, slots=True)
class Terms:
    """Whose a call is and what it is held to. Without `subscription` it is internal: no tariff, no quota.

    `unit` is what a unit of the tariff is; one unit is one of that dimension.
    """

    tenant: str
    account: str
    subscription: str | None
    product: str
    tariff: str | None = None
    unit: Dimension = Dimension.ROWS
    quotas: tuple[Quota, ...] = ()
    burst: Burst | None = None


def internal_terms(tenant: str, principal: str, product: str) -> Terms:
    """What a reader without a subscription is counted on."""
    return Terms(tenant, f"internal:{principal}", None, product)


def job_request(job: str) -> str:
    """The request id that what a job used stands under."""
    return f"job:{job}"


def period_start(at: datetime, period: Period) -> datetime:
    """The beginning of the period that holds the instant."""
    at = at.astimezone(UTC)
    match period:
        case Period.HOUR:
            return at.replace(minute=0, second=0, microsecond=0)
        case Period.DAY:
            return at.replace(hour=0, minute=0, second=0, microsecond=0)
    return at.replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def period_end(start: datetime, period: Period) -> datetime:
    """The beginning of the period after the one that begins then."""
    match period:
        case Period.HOUR:
            return start + timedelta(hours=1)
        case Period.DAY:
            return start + timedelta(days=1)
    return (start.replace(day=1) + timedelta(days=32)).replace(day=1)
