"""Which agents are there right now: those that hold a poll open or spoke a moment ago. In memory only."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from datacanal.control.changes import LEASE_S
from datacanal.control.clock import Clock


@dataclass(frozen=True)
class Seen:
    at: datetime
    monotonic: float


class Presence:
    """Per site: open polls, and when it was last heard."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._polls: Counter[str] = Counter()
        self._seen: dict[str, Seen] = {}

    def heard(self, site: str) -> bool:
        """The site spoke. True when it had been away."""
        was_away = not self.connected(site)
        self._seen[site] = Seen(self._clock.now(), self._clock.monotonic())
        return was_away

    @contextmanager
    def polling(self, site: str) -> Iterator[None]:
        """The site holds a poll open, which proves that it is there."""
        self._polls[site] += 1
        try:
            yield
        finally:
            self._polls[site] -= 1
            self.heard(site)

    def connected(self, site: str) -> bool:
        seen = self._seen.get(site)
        recently = seen is not None and self._clock.monotonic() - seen.monotonic < LEASE_S
        return recently or self._polls[site] > 0

    def connected_sites(self) -> frozenset[str]:
        return frozenset(site for site in self._seen.keys() | self._polls.keys() if self.connected(site))

    def seen_at(self, site: str) -> datetime | None:
        """When it was last heard since this process started."""
        if self._polls[site] > 0:
            return self._clock.now()
        seen = self._seen.get(site)
        return None if seen is None else seen.at
