"""Whom a call of a product's data is charged to, under which receipt and which request id."""

from __future__ import annotations

from dataclasses import dataclass

from datacanal.domain.errors import BadRequest
from datacanal.domain.usage import Amounts, Terms
from datacanal.gateway.asked import Asked
from datacanal.gateway.callers import Caller
from datacanal.gateway.calls import Call
from datacanal.gateway.view import Product
from datacanal.ledger.charges import Charge, Replay

_LONGEST_KEY = 200
_PRINTABLE = range(0x20, 0x7F)


@dataclass(slots=True)
class Bill:
    """`request` is what the call is known by for ever; `is_keyed`: its client chose it."""

    receipt: str
    request: str
    terms: Terms
    principal: str
    key: str | None
    policy: str
    is_keyed: bool

    def charge(self, asked: Asked, amounts: Amounts, before: Replay | None) -> Charge:
        """The charge of so much for an answer; less what was paid `before`, when it was broken off."""
        return Charge(
            receipt=self.receipt,
            request=self.request,
            terms=self.terms,
            principal=self.principal,
            key=self.key,
            version=asked.release.version,
            snapshot=asked.release.snapshot,
            query=asked.question,
            policy=self.policy,
            amounts=beyond(amounts, before.amounts) if before else amounts,
            completes=before.receipt if before else None,
        )


def bill_of(receipt: str, call: Call, product: Product, caller: Caller, terms: Terms) -> Bill:
    """The bill of a call. Raises `BadRequest` for an Idempotency-Key that is none."""
    key = call.header(b"idempotency-key")
    if key is not None:
        _check(key)
    request = f"req:{call.id}" if key is None else f"key:{key}"
    name = caller.key.id if caller.key else None
    return Bill(receipt, request, terms, caller.principal.name, name, product.policy, key is not None)


def beyond(amounts: Amounts, paid: Amounts) -> Amounts:
    """What of the amounts is not among those."""
    lacking = amounts - paid
    return Amounts(max(0, lacking.calls), max(0, lacking.rows), max(0, lacking.bytes), max(0, lacking.compute_ms))


def _check(key: str) -> None:
    if not 0 < len(key) <= _LONGEST_KEY or any(ord(each) not in _PRINTABLE for each in key):
        raise BadRequest(reason=f"the Idempotency-Key is not 1 to {_LONGEST_KEY} printable ASCII characters")
