"""The page about queries: every query on it is one."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qsl

import pytest

from datacanal.products.manifest import Column, Layout, Manifest
from datacanal.products.query import parse_query

PAGE = Path(__file__).parents[3] / "docs" / "product-queries.md"
EXAMPLES = re.findall(r"^    \?(.*?)(?: {3,}.*)?$", PAGE.read_text(), re.MULTILINE)
_TYPES = {
    "sec_id": "VARCHAR", "trade_date": "DATE", "close": "DOUBLE", "note": "VARCHAR", "limit": "INTEGER",
    "seen": "TIMESTAMP WITH TIME ZONE",
}  # fmt: skip
MANIFEST = Manifest(
    product="pub.bars",
    version="1.0.0",
    snapshot="snp_1",
    created_at=datetime(2026, 1, 1, tzinfo=UTC),
    columns=[Column(name=name, type=type_) for name, type_ in _TYPES.items()],
    key=["sec_id", "trade_date"],
    rows=0,
    layouts=[Layout(order=["sec_id", "trade_date"], file="by_key.parquet", bytes=0, sha256="")],
)


def test_the_page_has_examples() -> None:
    assert len(EXAMPLES) > 10


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_example_is_a_query_of_its_own(example: str) -> None:
    found = parse_query(parse_qsl(example, keep_blank_values=True, strict_parsing=True), MANIFEST, 1000)
    default = parse_query([], MANIFEST, 1000)
    assert found.canonical != default.canonical
