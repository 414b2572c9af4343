"""What of an event is hashed, and what follows from it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from datacanal.domain.chain import BEGINNING, FIELDS, canonical, digest, follow, instant

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


def test_one_instant_has_one_text_whatever_its_zone() -> None:
    at = datetime(2026, 11, 23, 8, 0, tzinfo=timezone(timedelta(hours=8)))
    assert instant(at) == instant(at.astimezone(UTC)) == "2026-11-23T00:00:00.000000+00:00"
