"""Wake whoever waits for something: long polls, event streams, the dispatcher. No one ever polls with a sleep."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

QUEUE = "queue"
CATALOGUE = "catalogue"
DRAFTS = "drafts"


def job_signal(job: str) -> str:
    """Something about the job changed."""
    return f"job:{job}"


def job_end_signal(job: str) -> str:
    """The job has ended."""
    return f"job-end:{job}"


def version_signal(snapshot: str) -> str:
    """Something about the product's version changed."""
    return f"version:{snapshot}"


def site_signal(site: str) -> str:
    """There is something to tell the site."""
    return f"site:{site}"


class Subscription:
    """Remembers a wake-up that came while its owner was looking elsewhere, so none is ever missed."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def wake(self) -> None:
        self._event.set()

    async def next(self, timeout_s: float) -> bool:
        """Wait for a wake-up since the last call; False when none came in time."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._event.wait()
        except TimeoutError:
            return False
        self._event.clear()
        return True


class Signals:
    """Names to those who wait for them. Lives on one event loop."""

    def __init__(self) -> None:
        self._subscriptions: defaultdict[str, set[Subscription]] = defaultdict(set)
        self._counts: Counter[str] = Counter()

    @contextmanager
    def subscribe(self, name: str) -> Iterator[Subscription]:
        """Wake-ups of that name from now on. Subscribe first, then look at the state, then wait."""
        subscription = Subscription()
        self._subscriptions[name].add(subscription)
        try:
            yield subscription
        finally:
            self._subscriptions[name].discard(subscription)
            if not self._subscriptions[name]:
                del self._subscriptions[name]

    def wake(self, names: Iterable[str]) -> None:
        for name in names:
            if name in self._counts:
                self._counts[name] += 1
            for subscription in self._subscriptions.get(name, ()):
                subscription.wake()

    def count(self, name: str) -> int:
        """Grows with every wake-up of that name, from the first time that somebody asks for it."""
        self._counts.setdefault(name, 0)
        return self._counts[name]

    def wake_all(self) -> None:
        """Wake everybody, at the end."""
        self.wake(list(self._subscriptions))
