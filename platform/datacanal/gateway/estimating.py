"""`…/estimate`: what a query would come to, before it is asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from starlette.requests import Request

from datacanal.domain.access import Principal
from datacanal.domain.errors import BadField, BadRequest
from datacanal.domain.usage import Amounts, Dimension, Terms
from datacanal.gateway.asked import Asked
from datacanal.gateway.callers import Caller
from datacanal.gateway.calls import Call
from datacanal.gateway.entitlements import Entitlements
from datacanal.gateway.executions import Executions
from datacanal.gateway.negotiation import Format
from datacanal.gateway.parameters import Pairs, read_pairs
from datacanal.gateway.producing import Kitchen, named_failures, units_in
from datacanal.gateway.quotes import Quotes
from datacanal.gateway.spilling import check_no_token
from datacanal.gateway.view import Product
from datacanal.products.encoding import text_encoder
from datacanal.products.reading import SnapshotReader
from datacanal.products.reading_stop import Stop
from datacanal.serving.bodies import check_media_type, read_body
from datacanal.serving.strict_json import loads_strictly

_MOST_BODY_BYTES = 64 * 1024
_LOOKED_AT_ROWS = 100

Find = Callable[[Pairs, Product, Principal, Format, Dimension], Asked]


class Estimates:
    """`find` gives the page that parameters mean to a caller."""

    def __init__(
        self, find: Find, kitchen: Kitchen, executions: Executions, entitlements: Entitlements, quotes: Quotes
    ) -> None:
        self._find = find
        self._kitchen = kitchen
        self._executions = executions
        self._entitlements = entitlements
        self._quotes = quotes

    async def read(self, call: Call) -> Pairs:
        """The parameters in the body. Raises what a body that is none deserves."""
        request = Request(call.scope, call.receive)
        check_media_type(request)
        body = await read_body(request, _MOST_BODY_BYTES)
        check_no_token(body)
        return _parameters(loads_strictly(body))

    async def estimate(self, pairs: Pairs, product: Product, caller: Caller, terms: Terms) -> dict[str, Any]:
        """The document; with a cursor the rows are not exact but no fewer than there are.

        Of quotas of time nothing is said: how long it takes is known afterwards.
        """
        asked = self._find(pairs, product, caller.principal, Format.NDJSON, terms.unit)
        stop = Stop()
        rows, row_bytes, is_exact = await self._executions.limited(lambda: self._estimated(asked, stop), stop.set)
        size = round(rows * row_bytes)
        units = units_in(terms.unit, rows, size)
        return {
            "product": product.name,
            "version": asked.release.version,
            "snapshot": asked.release.snapshot,
            "query": asked.text,
            "rows": rows,
            "exact": is_exact,
            "bytes": size,
            "units": units,
            "quota_after": await self._entitlements.after(terms, Amounts(1, rows, size)),
            **await self._quotes.told(terms, units),
        }

    def _estimated(self, asked: Asked, stop: Stop) -> tuple[int, float, bool]:
        reader = self._kitchen.reader(asked)
        with named_failures(asked, reader):
            return self._measured(asked, reader, stop)

    def _measured(self, asked: Asked, reader: SnapshotReader, stop: Stop) -> tuple[int, float, bool]:
        """Rows of the page, the bytes of one in JSON by its first hundred, and whether the number is exact."""
        first = reader.page(replace(asked.query, limit=min(_LOOKED_AT_ROWS, asked.query.limit)), asked.after, stop)
        encoder = text_encoder("ndjson", first.schema, self._kitchen.readers.texts)
        size = sum(len(encoder.batch(batch)) for batch in first.batches)
        if first.next_key is None or asked.query.limit <= _LOOKED_AT_ROWS:
            return first.rows, size / max(1, first.rows), True
        rows = min(asked.query.limit, reader.count(asked.query, stop))
        return rows, size / max(1, first.rows), asked.after is None


def _parameters(body: object) -> Pairs:
    if not isinstance(body, dict):
        raise BadRequest(reason='the body is an object: {"query": "…"}, or one of parameters')
    if list(body) == ["query"] and isinstance(body["query"], str):
        return read_pairs(body["query"].removeprefix("?").encode())
    return [(name, _text(name, value)) for name, value in body.items()]


def _text(name: str, value: object) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return value
        case int():
            return str(value)
        case float():
            return repr(value)
    raise BadField(field=name[:100], reason="a text, a number or a boolean is needed, as in an address")
