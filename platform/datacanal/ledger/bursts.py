"""At most so many calls within so many seconds: the sliding window of `limits` over counters that were loaded.

Keys, windows and arithmetic are the library's (the tests hold them against it); a call costs a tenth of its strategy's.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import lru_cache

from limits import RateLimitItemPerSecond
from limits.storage.base import TimestampedSlidingWindow

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


def windows(burst: Burst, subscription: str, now_s: float) -> tuple[str, str]:
    """The keys of the counters of the window before and of this one."""
    return _windows(burst, subscription, now_s // burst.window_s * burst.window_s)


@lru_cache(1000)
def _windows(burst: Burst, subscription: str, now_s: float) -> tuple[str, str]:
    key = RateLimitItemPerSecond(burst.calls, burst.window_s, namespace="burst").key_for(subscription)
    before, this = TimestampedSlidingWindow.sliding_window_keys(key, burst.window_s, now_s)
    return before, this


class Window:
    """The calls of one subscription at the counters' time."""

    def __init__(self, counters: Counters, burst: Burst, subscription: str) -> None:
        before, self._key = windows(burst, subscription, counters.now_s)
        self._rest_s = burst.window_s - counters.now_s % burst.window_s
        self._any_before = counters.count(before) > 0
        self._carried = counters.count(before) * self._rest_s / burst.window_s
        self._until = (int(counters.now_s / burst.window_s) + 2) * burst.window_s
        self._counters = counters
        self._burst = burst

    def hit(self) -> None:
        """Count a call. Raises `TooManyCalls`, and counts nothing then."""
        limit, counters = self._burst.calls, self._counters
        this = counters.counters.get(self._key)
        if 1 + math.floor(self._carried + (this.count if this else 0)) > limit:
            window_s = self._burst.window_s
            raise TooManyCalls(limit=limit, window_s=window_s, retry_after_s=window_s)
        if this is None:
            this = counters.counters[self._key] = Counter(0, self._until)
        this.count += 1
        counters.changed.add(self._key)

    def left(self) -> Left:
        """How many more may come now, and when all may again."""
        burst = self._burst
        this = self._counters.count(self._key)
        taken = math.floor(self._carried + this)
        reset_s = self._rest_s + burst.window_s if this else self._rest_s if self._any_before else 0
        remaining = burst.calls - taken if taken < burst.calls else 0
        return Left("burst", burst.calls, burst.window_s, "", remaining, math.ceil(reset_s), False, taken / burst.calls)
