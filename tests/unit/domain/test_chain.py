"""What of an event is hashed, and what follows from it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import hypothesis.strategies as st
import pytest
from hypothesis import given

from datacanal.domain.chain import BEGINNING, FIELDS, canonical, canonical_of_call, digest, follow, instant

VALUES: list[object] = [None] * len(FIELDS)


def test_a_hash_follows_from_the_digest_alone() -> None:
    first = follow(BEGINNING, digest(VALUES))
    assert first == "3392015ea15555c6e92e77151fd127d09b2631c2afb29be5bdf9fe391e53f67f"
    assert follow(first, digest(VALUES)) != first


@pytest.mark.parametrize("place", range(len(FIELDS)))
def test_every_field_is_hashed(place: int) -> None:
    other = [*VALUES[:place], "x", *VALUES[place + 1 :]]
    assert digest(other) != digest(VALUES)


def test_values_of_other_types_are_other_texts() -> None:
    texts = {canonical([value]) for value in (1, "1", None, "null", 1.5, "", "é", "\ud800")}
    assert len(texts) == 8


def test_what_no_event_holds_is_not_hashed() -> None:
    with pytest.raises(TypeError):
        canonical([b"bytes"])


TEXT = st.text(st.characters(codec=None), max_size=8)
SAID = st.none() | TEXT
NUMBER = st.integers(-(2**63), 2**63)


@given(
    first=st.tuples(NUMBER, TEXT, st.just("usage"), st.just("partial"), st.just("2026"), st.just("2025")),
    who=st.tuples(*[SAID] * 5),
    request=TEXT,
    what=st.tuples(*[SAID] * 7),
    amounts=st.tuples(*[NUMBER] * 8),
    last=st.tuples(SAID, SAID),
)
def test_the_text_that_is_made_faster_is_the_same(
    first: tuple[object, ...],
    who: tuple[object, ...],
    request: str,
    what: tuple[object, ...],
    amounts: tuple[int, ...],
    last: tuple[object, ...],
) -> None:
    values = (*first, *who, request, *what, *amounts, *last)
    assert len(values) == len(FIELDS)
    assert canonical_of_call(values) == canonical(values)


def test_one_instant_has_one_text_whatever_its_zone() -> None:
    at = datetime(2026, 11, 23, 8, 0, tzinfo=timezone(timedelta(hours=8)))
    assert instant(at) == instant(at.astimezone(UTC)) == "2026-11-23T00:00:00.000000+00:00"
