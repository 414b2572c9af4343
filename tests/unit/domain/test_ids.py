"""Identifiers."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest

from datacanal.domain.ids import id_pattern, new_id

NOW = datetime(2030, 1, 1, tzinfo=UTC)


def test_the_same_time_and_randomness_give_the_same_id() -> None:
    assert new_id("job", NOW, bytes(10)) == new_id("job", NOW, bytes(10))


def test_ids_of_later_milliseconds_sort_later() -> None:
    later = [new_id("job", NOW + timedelta(milliseconds=step), bytes([255 - step] * 10)) for step in range(50)]
    assert later == sorted(later)


def test_ids_match_their_pattern() -> None:
    assert re.fullmatch(id_pattern("job"), new_id("job", NOW, b"0123456789"))


def test_too_little_randomness_is_refused() -> None:
    with pytest.raises(ValueError, match="10 random bytes"):
        new_id("job", NOW, b"123")
