"""Requests as they were recorded, read again for another snapshot."""

from __future__ import annotations

import json
from urllib.parse import parse_qsl

from datacanal.products.manifest import Manifest
from datacanal.products.query import parse_query
from datacanal.products.query_form import Query

_MOST_ROWS = 1_000_000


def request_of(text: str, manifest: Manifest) -> Query:
    """The query that a canonical text, or the query string of an address, asks of the snapshot.

    Raises `InvalidParameters` where the snapshot's columns do not have it any more.
    """
    params = _canonical(text) if text.startswith("{") else parse_qsl(text, keep_blank_values=True)
    return parse_query(params, manifest, _MOST_ROWS)


def _canonical(text: str) -> list[tuple[str, str]]:
    said = json.loads(text)
    return [
        *((f"{column}.{operator}", ",".join(map(_quoted, values))) for column, operator, values in said["filters"]),
        ("select", ",".join(map(_quoted, said["select"]))),
        ("order", ",".join(("-" if each[0] == "-" else "") + _quoted(each[1:]) for each in said["order"])),
        ("limit", str(said["limit"])),
    ]


def _quoted(text: str) -> str:
    """As a list of several values writes one that may hold commas and quotes."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
