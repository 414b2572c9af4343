"""Whom a gateway lets in by what the book says, as it was read in one moment."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from datacanal.domain.usage import Terms

SCOPES = ("data", "sample", "account")
"""What a key may be for: a product's data, its sample, and the account's usage, receipts and invoices."""
KeyMode = Literal["live", "test"]


@dataclass(frozen=True, slots=True)
class HeldKey:
    """An API key as the book has it; `state` is its subscription's, `owner` the principal of its account."""

    id: str
    name: str
    mode: KeyMode
    digest: str
    scopes: frozenset[str]
    expires_at: datetime | None
    revoked_at: datetime | None
    owner: str
    state: str
    terms: Terms
