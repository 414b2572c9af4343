"""The counters of the burst limits in the book: read, changed, written back, all in one transaction."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from datetime import datetime

from sqlalchemy import Connection, bindparam, delete, insert, update

from datacanal.domain.usage import Terms
from datacanal.ledger.bursts import Counter, Counters, Window, windows
from datacanal.ledger.charges import Left
from datacanal.ledger.kept import Kept
from datacanal.ledger.models import BurstRow
from datacanal.ledger.prepared import Lookup, Write
from datacanal.ledger.shelf import Shelf


class BurstRows:
    """The bursts of subscriptions as they are in a transaction."""

    def __init__(self, connection: Connection, now: datetime, kept: Kept) -> None:
        self._connection = connection
        self._counters = Counters(now.timestamp())
        self._shelf: Shelf[str, Counter] = Shelf(self._read, kept.bursts)
        self._whose: dict[str, Terms] = {}
        self._windows: dict[int, tuple[Terms, Window]] = {}

    def fetch(self, terms: Iterable[Terms]) -> None:
        """Read at once what is needed for these."""
        self._shelf.fetch([key for each in terms for key in self._keys(each)])

    def hit(self, terms: Terms) -> None:
        """Count a call. Raises `TooManyCalls`."""
        window = self._window(terms)
        if window is not None:
            window.hit()

    def left(self, terms: Terms) -> tuple[Left, ...]:
        """What is left, nothing where there is no limit."""
        window = self._window(terms)
        return () if window is None else (window.left(),)

    def write(self) -> None:
        """Write what was counted."""
        rows = [self._row(key, self._counters.counters[key]) for key in self._counters.changed]
        _NEW.run(self._connection, [row for row in rows if self._shelf.get(row[0]) is None])
        _CHANGED.run(self._connection, [row[:3] for row in rows if self._shelf.get(row[0]) is not None])
        for key in self._counters.changed:
            self._shelf.put(key, self._counters.counters[key])

    def forget_past(self) -> None:
        """Remove the counters of windows that are over."""
        now_s = self._counters.now_s
        self._connection.execute(delete(BurstRow).where(BurstRow.until <= now_s))
        self._shelf.drop(lambda counter: counter is None or counter.until <= now_s)

    def _window(self, terms: Terms) -> Window | None:
        if terms.burst is None or terms.subscription is None:
            return None
        known = self._windows.get(id(terms))  # they are the same object in nearly all calls, and slow to compare
        if known is None:
            window = Window(self._loaded(terms), terms.burst, terms.subscription)
            known = self._windows[id(terms)] = (terms, window)
        return known[1]

    def _loaded(self, terms: Terms) -> Counters:
        for key in self._keys(terms):
            counter = self._shelf.get(key)
            if counter is not None:
                self._counters.counters[key] = counter
            self._whose[key] = terms
        return self._counters

    def _keys(self, terms: Terms) -> tuple[str, ...]:
        if terms.burst is None or terms.subscription is None:
            return ()
        return windows(terms.burst, terms.subscription, self._counters.now_s)

    def _row(self, key: str, counter: Counter) -> tuple[str, int, float, str, str]:
        terms = self._whose[key]
        return key, counter.count, counter.until, terms.tenant, terms.account

    def _read(self, keys: Collection[str]) -> Iterator[tuple[str, Counter]]:
        for key, count, until in _COUNTERS.rows(self._connection, [(key,) for key in keys]):
            yield key, Counter(count, until)


_COUNTERS = Lookup([BurstRow.key, BurstRow.count, BurstRow.until], [BurstRow.key])
_NEW = Write(
    insert(BurstRow).values(
        key=bindparam("its_key"),
        **{name: bindparam(name) for name in ("count", "until", "tenant", "principal")},
    ),
    ("its_key", "count", "until", "tenant", "principal"),
)
_CHANGED = Write(
    update(BurstRow)
    .where(BurstRow.key == bindparam("its_key"))
    .values(count=bindparam("count"), until=bindparam("until")),
    ("its_key", "count", "until"),
)
