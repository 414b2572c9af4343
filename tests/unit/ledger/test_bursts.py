"""Bursts as the library counts them, over our counters."""

from __future__ import annotations

from types import SimpleNamespace

import hypothesis.strategies as st
import pytest
from hypothesis import given
from limits import RateLimitItemPerSecond
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter

from datacanal.domain.metering_errors import TooManyCalls
from datacanal.domain.usage import Burst
from datacanal.ledger.bursts import Counters, Window


def calls(burst: Burst, at: list[float]) -> list[bool]:
    """Which of the calls were let through; counters are kept from one to the next as the book keeps them."""
    kept = Counters(0.0)
    answers = []
    for now_s in at:
        kept = Counters(now_s, kept.counters)
        try:
            Window(kept, burst, "sub_1").hit()
            answers.append(True)
        except TooManyCalls:
            answers.append(False)
    return answers


def calls_of_the_library(burst: Burst, at: list[float]) -> list[bool]:
    """The same by the library's own strategy and storage, with the same clock."""
    now_s = at[0]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("limits.storage.memory.time", SimpleNamespace(time=lambda: now_s))
        storage = MemoryStorage()
        limiter = SlidingWindowCounterRateLimiter(storage)
        item = RateLimitItemPerSecond(burst.calls, burst.window_s)
        answers = []
        for now_s in at:  # noqa: B007  # the clock reads it
            answers.append(limiter.hit(item, "sub_1"))
        storage.timer.join()
    return answers


@given(at=st.lists(st.floats(0, 9), min_size=1, max_size=40), amount=st.integers(1, 5), window_s=st.integers(1, 3))
def test_each_call_is_let_through_as_the_library_would(at: list[float], amount: int, window_s: int) -> None:
    burst = Burst(amount, window_s)
    at = sorted(1_000 + each for each in at)
    assert calls(burst, at) == calls_of_the_library(burst, at)


def test_a_refused_call_is_not_counted() -> None:
    assert calls(Burst(2), [100.0, 100.1, 100.2, 102.0, 102.1]) == [True, True, False, True, True]


def test_the_turn_of_a_second_does_not_let_through_as_many_again() -> None:
    """Calls at the end of one window count in the next as far as they are in the last second: 9.9 of 10."""
    assert calls(Burst(10), [100.99] * 10 + [101.01] * 10).count(True) == 11


@given(at=st.lists(st.floats(0, 5), max_size=40), amount=st.integers(1, 5))
def test_no_window_of_the_clock_has_more_than_the_limit(at: list[float], amount: int) -> None:
    at = sorted(1_000 + each for each in at)
    through = [when for when, passed in zip(at, calls(Burst(amount), at), strict=True) if passed]
    assert all(sum(1 for each in through if int(each) == second) <= amount for second in range(1_000, 1_006))


@pytest.mark.parametrize(("now_s", "remaining", "reset_s"), [(100.25, 1, 2), (101.5, 3, 1), (103.0, 4, 0)])
def test_what_is_left_comes_back_with_time(now_s: float, remaining: int, reset_s: int) -> None:
    kept = Counters(100.25)
    for _ in range(3):
        Window(kept, Burst(4), "sub_1").hit()
    left = Window(Counters(now_s, kept.counters), Burst(4), "sub_1").left()
    assert (left.name, left.amount, left.window_s, left.remaining, left.reset_s) == ("burst", 4, 1, remaining, reset_s)
