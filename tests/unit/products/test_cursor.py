"""Cursors: what they carry, and that nobody can make or bend one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datacanal.domain.product_errors import BadCursor
from datacanal.products.cursor import Cursors
from datacanal.products.query_form import Filter, Order, Query

CURSORS = Cursors(b"a secret of sixteen bytes or more")
QUERY = Query("pub.bars", (), ("a", "b"), (Order("a", "VARCHAR"), Order("b", "DOUBLE")), 100)
OTHER = Query("pub.bars", (Filter("a", "eq", ("x",), "VARCHAR"),), QUERY.select, QUERY.order, 100)

_TEXTS = st.text(st.characters(exclude_categories=["Cs"]))


@given(st.lists(st.none() | _TEXTS, max_size=5))
def test_a_cursor_gives_back_the_key_that_it_was_made_of(key: list[str | None]) -> None:
    text = CURSORS.make(QUERY, "snp_1", key)
    assert text == CURSORS.make(QUERY, "snp_1", key)
    cursor = CURSORS.read(text, "pub.bars")
    assert cursor.snapshot == "snp_1"
    assert cursor.key_for(QUERY, "snp_1") == tuple(key)


@given(st.data())
def test_a_cursor_with_any_character_changed_is_refused(data: st.DataObject) -> None:
    text = CURSORS.make(QUERY, "snp_1", ["名", "-0.0"])
    at = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.characters(codec="utf-8").filter(lambda each: each != text[at]))
    with pytest.raises(BadCursor):
        CURSORS.read(text[:at] + other + text[at + 1 :], "pub.bars")


@given(_TEXTS)
def test_no_text_but_a_cursor_is_one(text: str) -> None:
    with pytest.raises(BadCursor, match="damaged"):
        CURSORS.read(text, "pub.bars")


@pytest.mark.parametrize("length", [0, 1, 5, 21, 22, 40])
def test_a_truncated_cursor_is_refused(length: int) -> None:
    with pytest.raises(BadCursor, match="damaged"):
        CURSORS.read(CURSORS.make(QUERY, "snp_1", ["a", "1.0"])[:length], "pub.bars")


def test_a_cursor_longer_than_any_is_refused() -> None:
    with pytest.raises(BadCursor, match="damaged"):
        CURSORS.read("A" * 10_000_000, "pub.bars")


def test_a_cursor_of_another_secret_is_refused() -> None:
    with pytest.raises(BadCursor, match="not made by this service"):
        Cursors(b"another secret of some length").read(CURSORS.make(QUERY, "snp_1", ["a", "1.0"]), "pub.bars")


def test_a_cursor_of_another_product_is_refused() -> None:
    with pytest.raises(BadCursor, match=r"belongs to the product pub\.bars"):
        CURSORS.read(CURSORS.make(QUERY, "snp_1", ["a", "1.0"]), "pub.news")


def test_a_changed_query_with_an_old_cursor_is_refused() -> None:
    cursor = CURSORS.read(CURSORS.make(QUERY, "snp_1", ["a", "1.0"]), "pub.bars")
    with pytest.raises(BadCursor, match="must stay as they were"):
        cursor.key_for(OTHER, "snp_1")


def test_a_cursor_holds_for_its_snapshot_alone() -> None:
    cursor = CURSORS.read(CURSORS.make(QUERY, "snp_1", ["a", "1.0"]), "pub.bars")
    with pytest.raises(BadCursor, match="another snapshot"):
        cursor.key_for(QUERY, "snp_2")


def test_pages_may_change_their_size_along_a_walk() -> None:
    cursor = CURSORS.read(CURSORS.make(QUERY, "snp_1", ["a", "1.0"]), "pub.bars")
    larger = Query(QUERY.product, QUERY.filters, QUERY.select, QUERY.order, 1000)
    assert cursor.key_for(larger, "snp_1") == ("a", "1.0")
