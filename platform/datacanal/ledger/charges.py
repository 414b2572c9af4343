"""What is said between the gateway and the meter: a call to be charged, what came of it, and what is left."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from datacanal.domain.usage import Amounts, Terms


@dataclass(frozen=True, slots=True)
class Charge:
    """A call. `amounts` are actual for an answer that is there whole, else the most that may be sent.

    `receipt` is a new `rcp_…`; `request` is `key:` and the client's Idempotency-Key, or `req:` and the call's own id.
    `query` is the digest of product, canonical query and format (not of the snapshot), `policy` that of the contract.
    `completes` is the receipt of an earlier call under the same Idempotency-Key that was broken off.
    """

    receipt: str
    request: str
    terms: Terms
    principal: str
    key: str | None
    version: str
    snapshot: str
    query: str
    policy: str
    amounts: Amounts
    completes: str | None = None

    @property
    def is_keyed(self) -> bool:
        """Whether its client chose the request id, so that another call may have had it."""
        return not self.request.startswith("req:")


class Left(NamedTuple):
    """What is left of one quota or burst: for the fields RateLimit-Policy and RateLimit.

    `name` is `burst` or the quota's; `unit` is empty for calls; `amount` per `window_s`; `remaining` is never below 0,
    and `reset_s` is how long until it is whole again. `share` is the part that is used: above 1 where a soft one is
    over.
    """

    name: str
    amount: int
    window_s: int
    unit: str
    remaining: int
    reset_s: int
    soft: bool
    share: float


class Charged(NamedTuple):
    """A call that stands in the book, or whose hold does."""

    receipt: str
    at: datetime
    amounts: Amounts
    units: int
    left: tuple[Left, ...]


@dataclass(frozen=True, slots=True)
class Replay:
    """The call was charged before under its Idempotency-Key: nothing is charged again.

    `is_complete`: its answer was sent whole; otherwise `amounts` are what of it was paid, and what is sent beyond them
    is charged by a `Charge` that `completes` it. `query` is the digest of the first call's.
    """

    receipt: str
    product: str
    version: str
    snapshot: str
    amounts: Amounts
    units: int
    is_complete: bool
    query: str = ""
