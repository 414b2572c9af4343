"""A query as an address has it: in normal form, so that equal questions get equal links."""

from __future__ import annotations

import re
from urllib.parse import quote

from datacanal.products.manifest import Manifest
from datacanal.products.query import OWN_NAMES
from datacanal.products.query_form import Filter, Query

_PLAIN = re.compile(r'[^,"]+')
_REAL_TYPES = ("FLOAT", "DOUBLE")
_REALS = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}
_SAFE = "/:,.-_~*"


def query_text(query: Query, manifest: Manifest) -> str:
    """The query string that is read back as this very query."""
    pairs = [(_subject(each), _listed(_written(each))) for each in query.filters]
    if query.select != tuple(column.name for column in manifest.columns):
        pairs.append(("select", _listed(query.select)))
    order = ",".join(("-" if each.descending else "") + _item(each.column, minus=True) for each in query.order)
    if [each.column for each in query.order] != manifest.key or any(each.descending for each in query.order):
        pairs.append(("order", order))
    pairs.append(("limit", str(query.limit)))
    return "&".join(f"{quote(name, safe=_SAFE)}={quote(value, safe=_SAFE)}" for name, value in pairs)


def data_path(product: str, query: str) -> str:
    """Where the data that the query string asks for are."""
    return f"/v1/products/{product}/data?{query}"


def _subject(each: Filter) -> str:
    equality = each.operator in ("eq", "in")
    return each.column if equality and each.column not in OWN_NAMES else f"{each.column}.{each.operator}"


def _written(each: Filter) -> tuple[str, ...]:
    """Values as callers write them: DuckDB has other names for numbers that are none."""
    return tuple(_REALS.get(value, value) for value in each.values) if each.type in _REAL_TYPES else each.values


def _listed(values: tuple[str, ...]) -> str:
    return ",".join(_item(value) for value in values)


def _item(text: str, *, minus: bool = False) -> str:
    if _PLAIN.fullmatch(text) and not (minus and text.startswith("-")):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
