"""Rounded counts: near enough to plan with, never exact for a few."""

import pytest

from datacanal.domain.rounding import rounded


@pytest.mark.parametrize(
    ("count", "told"),
    [
        (-1, 0), (0, 0), (1, 10), (9, 10), (14, 10), (15, 20), (99, 100), (104, 100), (105, 110), (999, 1000),
        (1234, 1200), (1250, 1300), (99_499, 99_000), (123_456_789, 120_000_000),
    ],
)  # fmt: skip
def test_a_count_keeps_two_digits_and_tens_at_least(count: int, told: int) -> None:
    assert rounded(count) == told


def test_rounding_again_changes_nothing() -> None:
    assert all(rounded(rounded(count)) == rounded(count) for count in range(0, 20_000, 7))
