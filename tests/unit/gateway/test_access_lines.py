"""A line of the access record is JSON, whatever stands in a query."""

from __future__ import annotations

import json

import pytest

from datacanal.gateway.access_lines import Entry, Subject, line_of
from datacanal.gateway.negotiation import Format


@pytest.mark.parametrize("query", ['name="a\\"&limit=5', "name=平安\n\x00", None])
def test_a_line_says_what_the_call_was(query: str | None) -> None:
    subject = Subject("default", "ann", None, None, "pub.bars", "1.0", "snp_a", query, query and Format.JSON)
    line = line_of(Entry(1767225600.25, "req_1", subject, 200, None, 3, 40, 2, True))
    assert line.count("\n") == 1
    assert json.loads(line) == {
        "at": "2026-01-01T00:00:00.250000+00:00",
        "request": "req_1",
        **subject._asdict(),
        "status": 200,
        "receipt": None,
        "rows": 3,
        "bytes": 40,
        "compute_ms": 2,
        "etag_hit": True,
    }


def test_a_line_names_the_receipt() -> None:
    subject = Subject("default", None, None, None, "pub.bars", None, None, None, None)
    said = json.loads(line_of(Entry(0.0, "req_1", subject, 200, "rcp_1", 0, 0, 0, False)))
    assert (said["receipt"], said["etag_hit"]) == ("rcp_1", False)
