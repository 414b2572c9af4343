"""From an address to the page that it means to its caller; what was worked out once is remembered."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from datetime import datetime

from datacanal.domain.access import Principal
from datacanal.domain.usage import Dimension
from datacanal.gateway.asked import Asked, asked_for
from datacanal.gateway.cache import Cache
from datacanal.gateway.choosing import CHOICES, by_snapshot, choose
from datacanal.gateway.negotiation import MOST_ROWS, Format
from datacanal.gateway.parameters import Pairs, read_pairs, split, wrong
from datacanal.gateway.view import Product, Release
from datacanal.products.cursor import Cursor, Cursors
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

    def by_address(
        self, raw: bytes, product: Product, caller: Principal, form: Format, unit: Dimension = Dimension.ROWS
    ) -> Asked:
        """The page of a query string. Raises `InvalidParameters`, `BadCursor` and what `choose` raises."""
        return self._found(self._read_once(raw), product, caller, form, raw, unit)

    def by_pairs(
        self, pairs: Pairs, product: Product, caller: Principal, form: Format, unit: Dimension = Dimension.ROWS
    ) -> Asked:
        """The same for parameters that were read already."""
        return self._found(_taken_apart(pairs), product, caller, form, tuple(pairs), unit)

    def pinned(self, raw: bytes, product: Product, form: Format, unit: Dimension, snapshot: str) -> Asked:
        """The page of a query string in that snapshot, wherever channels point by now.

        Raises what `by_snapshot` and `by_address` raise.
        """
        read = self._read_once(raw)
        cursor = self._cursor(read, product)
        return self._page(read, by_snapshot(product, snapshot), cursor, product, form, raw, unit)

    def _read_once(self, raw: bytes) -> _Read:
        read = self._read.get(raw)
        if read is None:
            read = _taken_apart(read_pairs(raw))
            self._read.put(raw, read, _ENTRY_BYTES + 4 * len(raw))
        return read

    def _found(
        self, read: _Read, product: Product, caller: Principal, form: Format, given: Hashable, unit: Dimension
    ) -> Asked:
        cursor = self._cursor(read, product)
        if cursor is not None:
            release = by_snapshot(product, cursor.snapshot)
        else:
            release = choose(product, read.own, caller, self._now())
        return self._page(read, release, cursor, product, form, given, unit)

    def _cursor(self, read: _Read, product: Product) -> Cursor | None:
        text = read.own.get("cursor")
        cursor = None if text is None else self._cursors.read(text, product.name)
        if cursor is not None and len(read.own) > 1:
            raise wrong(min(set(read.own) - {"cursor"}), "a cursor stays on its snapshot; leave this out")
        return cursor

    def _page(
        self,
        read: _Read,
        release: Release,
        cursor: Cursor | None,
        product: Product,
        form: Format,
        given: Hashable,
        unit: Dimension,
    ) -> Asked:
        key = (product.tenant, product.name, release.snapshot, form, given, unit)
        found = self._asked.get(key)
        if found is None:
            query = parse_query(read.rest, release.manifest, MOST_ROWS[form])
            after = cursor.key_for(query, release.snapshot) if cursor is not None else None
            place, chosen = read.own.get("cursor", ""), "&".join(f"{name}={text}" for name, text in read.own.items())
            found = asked_for(product.name, release, query, after, form, place, chosen, unit)
            self._asked.put(key, found, _ENTRY_BYTES + 8 * len(found.text))
        return found


def _taken_apart(pairs: Pairs) -> _Read:
    return _Read(*split(pairs, _OWN))
