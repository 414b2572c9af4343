"""A call as the access record has it: one line, whatever came of it."""

from __future__ import annotations

import time

from datacanal.domain.usage import Terms
from datacanal.gateway.access import AccessRecord
from datacanal.gateway.access_lines import Entry, Subject
from datacanal.gateway.asked import Asked
from datacanal.gateway.callers import Caller
from datacanal.gateway.calls import Call
from datacanal.gateway.executions import Usage
from datacanal.gateway.view import Product


class Noted:
    """`asked` and `receipt` are set when they are known."""

    __slots__ = ("_access", "_call", "_caller", "_product", "_terms", "asked", "receipt")

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
        amounts = (usage.rows, usage.bytes, 0 if hit else usage.compute_ms) if usage else (0, 0, 0)
        self._access.note(Entry(time.time(), self._call.id, self._subject(), status, self.receipt, *amounts, hit))

    def _subject(self) -> Subject:
        product, caller, asked = self._product, self._caller, self.asked
        key = caller.key if caller else None
        found = (asked.release.version, asked.release.snapshot, asked.text, asked.format) if asked else _NOT_FOUND
        return Subject(
            product.tenant,
            caller.principal.name if caller else None,
            key.id if key else None,
            self._terms.subscription if self._terms else None,
            product.name,
            *found,
        )


_NOT_FOUND = (None, None, None, None)
