"""One page of one version, as it was asked for, and what it is known by before anything was read."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

from datacanal.domain.usage import Dimension
from datacanal.gateway.links import data_path, query_text
from datacanal.gateway.negotiation import Format
from datacanal.gateway.view import Release
from datacanal.products.cursor import Cursors, Key
from datacanal.products.query import parse_query
from datacanal.products.query_form import Query

_POLICY = "1"
"""Grows when equal questions begin to be answered in other bytes."""


@dataclass(frozen=True)
class Asked:
    """`text` is the query string in normal form, `digest` what the answer is known by; `after`: the row before it.

    `question` is the digest of what was asked, whichever snapshot answers. `unit` is what a unit of the caller's
    tariff is, None where the answer is free. `is_walk`: whether there is a page after this one.
    """

    product: str
    release: Release
    query: Query
    text: str
    after: Key | None
    format: Format
    digest: str
    question: str
    unit: Dimension | None
    is_walk: bool = True

    def next_path(self, cursors: Cursors, last_key: Key | None) -> str | None:
        """The address of the page after this one; None where the last row was reached."""
        if last_key is None or not self.is_walk:
            return None
        cursor = cursors.make(self.query, self.release.snapshot, last_key)
        return data_path(self.product, f"{self.text}&cursor={cursor}")


def sample_of(product: str, release: Release, rows: int, form: Format) -> Asked:
    """The first rows of that version, and no page after them."""
    query = parse_query([("limit", str(rows))], release.manifest, rows)
    return replace(asked_for(product, release, query, None, form, "sample", unit=None), is_walk=False)


def asked_for(
    product: str,
    release: Release,
    query: Query,
    after: Key | None,
    form: Format,
    place: str,
    chosen: str = "",
    unit: Dimension | None = Dimension.ROWS,
) -> Asked:
    """The page of that query in that format; `place` tells the pages of one walk apart.

    `chosen` is how the caller chose the snapshot: the answer is the same for all ways, the question is not.
    """
    question = (product, query.canonical, form.value, place)
    counted = () if unit in (None, Dimension.ROWS) else (unit.value,)
    digest = _digest(*question, *counted, release.snapshot, _POLICY)[:40]
    text = query_text(query, release.manifest)
    return Asked(product, release, query, text, after, form, digest, _digest(*question, chosen), unit)


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
