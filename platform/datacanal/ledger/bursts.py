"""At most so many calls within so many seconds: a strategy of `limits` over counters that a transaction loaded."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import lru_cache

from limits import RateLimitItem, RateLimitItemPerSecond
from limits.storage import Storage
from limits.storage.base import SlidingWindowCounterSupport, TimestampedSlidingWindow
from limits.strategies import SlidingWindowCounterRateLimiter

from datacanal.domain.metering_errors import TooManyCalls
from datacanal.domain.usage import Burst
from datacanal.ledger.charges import Left


@dataclass(slots=True)
class Counter:
    """How many calls came in one window; of no interest after `until`, in seconds since 1970."""

    count: int
    until: float


@dataclass
class Counters:
    """The counters of some windows. What is loaded is put into `counters`; `changed` is to be written back."""

    now_s: float
    counters: dict[str, Counter] = field(default_factory=dict)
    changed: set[str] = field(default_factory=set)

    def count(self, key: str) -> int:
        """How many came in the window of the key."""
        held = self.counters.get(key)
        return 0 if held is None else held.count

    def add(self, key: str, amount: int, until: float) -> int:
        """Count so many more; gives how many came."""
        held = self.counters.setdefault(key, Counter(0, until))
        held.count += amount
        self.changed.add(key)
        return held.count


@lru_cache(1000)
def windows(burst: Burst, subscription: str, now_s: float) -> tuple[str, str]:
    """The keys of the counters of the window before and of this one."""
    key = _item(burst).key_for(subscription)
    before, this = TimestampedSlidingWindow.sliding_window_keys(key, burst.window_s, now_s)
    return before, this


def hit(counters: Counters, burst: Burst, subscription: str) -> None:
    """Count a call. Raises `TooManyCalls`, and counts nothing then."""
    if not SlidingWindowCounterRateLimiter(_Storage(counters)).hit(_item(burst), subscription):
        raise TooManyCalls(limit=burst.calls, window_s=burst.window_s, retry_after_s=burst.window_s)


def left_of_burst(counters: Counters, burst: Burst, subscription: str) -> Left:
    """How many more may come now, and when all may again."""
    before, this = (counters.count(key) for key in windows(burst, subscription, counters.now_s))
    rest_s = burst.window_s - counters.now_s % burst.window_s
    taken = math.floor(before * rest_s / burst.window_s + this)
    reset_s = rest_s + burst.window_s if this else rest_s if before else 0
    return Left(
        name="burst",
        amount=burst.calls,
        window_s=burst.window_s,
        unit="",
        remaining=max(0, burst.calls - taken),
        reset_s=math.ceil(reset_s),
        soft=False,
        share=taken / burst.calls,
    )


@lru_cache(1000)
def _item(burst: Burst) -> RateLimitItem:
    return RateLimitItemPerSecond(burst.calls, burst.window_s, namespace="burst")


class _Storage(Storage, SlidingWindowCounterSupport, TimestampedSlidingWindow):
    """What the library asks of a storage, over counters in memory and the transaction's time."""

    STORAGE_SCHEME = None

    def __init__(self, counters: Counters) -> None:
        super().__init__()
        self._counters = counters

    def acquire_sliding_window_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        before, before_s, this, _this_s = self.get_sliding_window(key, expiry)
        if amount + math.floor(before * before_s / expiry + this) > limit:
            return False
        now_s = self._counters.now_s
        _before_key, this_key = self.sliding_window_keys(key, expiry, now_s)
        self._counters.add(this_key, amount, (int(now_s / expiry) + 2) * expiry)
        return True

    def get_sliding_window(self, key: str, expiry: int) -> tuple[int, float, int, float]:
        now_s = self._counters.now_s
        before, this = self.sliding_window_keys(key, expiry, now_s)
        rest_s = expiry - now_s % expiry
        return self._counters.count(before), rest_s, self._counters.count(this), rest_s + expiry

    def clear_sliding_window(self, key: str, expiry: int) -> None:
        for each in self.sliding_window_keys(key, expiry, self._counters.now_s):
            self.clear(each)

    @property
    def base_exceptions(self) -> type[Exception]:
        return ArithmeticError

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        return self._counters.add(key, amount, self._counters.now_s + expiry)

    def get(self, key: str) -> int:
        return self._counters.count(key)

    def get_expiry(self, key: str) -> float:
        held = self._counters.counters.get(key)
        return self._counters.now_s if held is None else held.until

    def check(self) -> bool:
        return True

    def reset(self) -> int:
        for key in self._counters.counters:
            self.clear(key)
        return len(self._counters.counters)

    def clear(self, key: str) -> None:
        held = self._counters.counters.get(key)
        if held is not None:
            held.count = 0
            self._counters.changed.add(key)
