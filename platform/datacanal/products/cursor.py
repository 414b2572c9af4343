"""Cursors: where a walk over one snapshot stands, in a text that a caller can neither read into nor change."""

from __future__ import annotations

import base64
import binascii
import hmac
import json
from collections.abc import Sequence
from dataclasses import dataclass

from datacanal.domain.product_errors import BadCursor
from datacanal.products.query_form import Query

Key = tuple[str | None, ...]
"""The values of the query's `order` in one row, as the texts that DuckDB prints and casts back."""

_MAC_BYTES = 16
_MOST_CHARACTERS = 131_072


@dataclass(frozen=True)
class Cursor:
    """The walk that it belongs to, and the last row that was handed out."""

    product: str
    snapshot: str
    walk: str
    key: Key

    def key_for(self, query: Query, snapshot: str) -> Key:
        """The last row's key, for that query on that snapshot alone. Raises `BadCursor`."""
        if snapshot != self.snapshot:
            raise BadCursor(reason="it belongs to another snapshot than the one that was asked for")
        if query.walk != self.walk:
            raise BadCursor(reason="filters, select and order must stay as they were on the first page")
        return self.key


class Cursors:
    """Makes and reads cursors; all gateways that share a secret read one another's."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def make(self, query: Query, snapshot: str, last_key: Sequence[str | None]) -> str:
        """The cursor for the rows after `last_key`. The same arguments give the same text."""
        content = [query.product, snapshot, query.walk, *last_key]
        payload = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
        return base64.urlsafe_b64encode(self._mac(payload) + payload).rstrip(b"=").decode()

    def read(self, text: str, product: str) -> Cursor:
        """The cursor that the text is. Raises `BadCursor` where nobody with the secret made it for this product."""
        raw = _decoded(text)
        mac, payload = raw[:_MAC_BYTES], raw[_MAC_BYTES:]
        if not hmac.compare_digest(mac, self._mac(payload)):
            raise BadCursor(reason="it is damaged or was not made by this service")
        of_product, snapshot, walk, *key = json.loads(payload)
        if of_product != product:
            raise BadCursor(reason=f"it belongs to the product {of_product}")
        return Cursor(of_product, snapshot, walk, tuple(key))

    def _mac(self, payload: bytes) -> bytes:
        return hmac.digest(self._secret, payload, "sha256")[:_MAC_BYTES]


def _decoded(text: str) -> bytes:
    try:
        raw = base64.b64decode(text[:_MOST_CHARACTERS] + "=" * (-len(text) % 4), b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise BadCursor(reason="it is damaged or was cut short") from None
    # Texts that decode to the same bytes are not all the same text.
    if base64.urlsafe_b64encode(raw).rstrip(b"=").decode() != text:
        raise BadCursor(reason="it is damaged or was cut short")
    return raw
