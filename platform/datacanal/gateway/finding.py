"""From an address to the page that it means to its caller; what was worked out once is remembered."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from datetime import datetime

from datacanal.domain.access import Principal
from datacanal.gateway.asked import Asked, asked_for
from datacanal.gateway.cache import Cache
from datacanal.gateway.choosing import CHOICES, by_snapshot, choose
from datacanal.gateway.negotiation import MOST_ROWS, Format
from datacanal.gateway.parameters import Pairs, read_pairs, split, wrong
from datacanal.gateway.view import Product
from datacanal.products.cursor import Cursors
from datacanal.products.query import parse_query

_OWN = (*CHOICES, "cursor")
_REMEMBERED_BYTES = 16 * 2**20
_ENTRY_BYTES = 2048


@dataclass(frozen=True)
class _Read:
    """The parameters of an address: those that choose where to read, and those that say what."""

    own: dict[str, str]
    rest: Pairs


class Finder:
    """Belongs to one event loop."""

    def __init__(self, cursors: Cursors, now: Callable[[], datetime]) -> None:
        self._cursors = cursors
        self._now = now
        self._read: Cache[_Read] = Cache(_REMEMBERED_BYTES)
        self._asked: Cache[Asked] = Cache(_REMEMBERED_BYTES)

    def by_address(self, raw: bytes, product: Product, caller: Principal, form: Format) -> Asked:
        """The page of a query string. Raises `InvalidParameters`, `BadCursor` and what `choose` raises."""
        read = self._read.get(raw)
        if read is None:
            read = _taken_apart(read_pairs(raw))
            self._read.put(raw, read, _ENTRY_BYTES + 4 * len(raw))
        return self._found(read, product, caller, form, raw)

    def by_pairs(self, pairs: Pairs, product: Product, caller: Principal, form: Format) -> Asked:
        """The same for parameters that were read already."""
        return self._found(_taken_apart(pairs), product, caller, form, tuple(pairs))

    def _found(self, read: _Read, product: Product, caller: Principal, form: Format, given: Hashable) -> Asked:
        text = read.own.get("cursor")
        cursor = None if text is None else self._cursors.read(text, product.name)
        if cursor is not None and len(read.own) > 1:
            raise wrong(min(set(read.own) - {"cursor"}), "a cursor stays on its snapshot; leave this out")
        if cursor is not None:
            release = by_snapshot(product, cursor.snapshot)
        else:
            release = choose(product, read.own, caller, self._now())
        key = (product.tenant, product.name, release.snapshot, form, given)
        found = self._asked.get(key)
        if found is None:
            query = parse_query(read.rest, release.manifest, MOST_ROWS[form])
            after = cursor.key_for(query, release.snapshot) if cursor is not None else None
            found = asked_for(product.name, release, query, after, form, text or "")
            self._asked.put(key, found, _ENTRY_BYTES + 8 * len(found.text))
        return found


def _taken_apart(pairs: Pairs) -> _Read:
    return _Read(*split(pairs, _OWN))
