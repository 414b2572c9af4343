"""A call as the access record has it: one line, whatever came of it."""

from __future__ import annotations

from datacanal.domain.usage import Terms
from datacanal.gateway.access import AccessRecord
from datacanal.gateway.asked import Asked
from datacanal.gateway.callers import Caller
from datacanal.gateway.calls import Call
from datacanal.gateway.executions import Usage
from datacanal.gateway.view import Product


class Noted:
    """`asked` and `receipt` are set when they are known."""

    def __init__(
        self, access: AccessRecord, call: Call, product: Product, caller: Caller | None, terms: Terms | None
    ) -> None:
        self._access = access
        self._call = call
        self._product = product
        self._caller = caller
        self._terms = terms
        self.asked: Asked | None = None
        self.receipt: str | None = None

    def write(self, status: int, usage: Usage | None = None, *, hit: bool = False) -> None:
        """499: the client left; 599: the answer was broken off."""
        asked, key = self.asked, self._caller.key if self._caller else None
        self._access.note(
            request=self._call.id,
            tenant=self._product.tenant,
            principal=self._caller.principal.name if self._caller else None,
            key=key.id if key else None,
            subscription=self._terms.subscription if self._terms else None,
            product=self._product.name,
            version=asked.release.version if asked else None,
            snapshot=asked.release.snapshot if asked else None,
            query=asked.text if asked else None,
            format=asked.format.value if asked else None,
            status=status,
            receipt=self.receipt,
            rows=usage.rows if usage else 0,
            bytes=usage.bytes if usage else 0,
            compute_ms=usage.compute_ms if usage and not hit else 0,
            etag_hit=hit,
        )
