"""The counters of the burst limits in the book: read, changed, written back, all in one transaction."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from datetime import datetime

from sqlalchemy import Connection, bindparam, delete, insert, update

from datacanal.domain.usage import Terms
from datacanal.ledger.bursts import Counter, Counters, hit, left_of_burst, windows
from datacanal.ledger.charges import Left
from datacanal.ledger.models import BurstRow
from datacanal.ledger.prepared import Lookup, Write
from datacanal.ledger.shelf import Shelf


class BurstRows:
    """The bursts of subscriptions as they are in a transaction."""

    def __init__(self, connection: Connection, now: datetime) -> None:
        self._connection = connection
        self._counters = Counters(now.timestamp())
        self._shelf: Shelf[str, Counter] = Shelf(self._read)
        self._whose: dict[str, Terms] = {}

    def fetch(self, terms: Iterable[Terms]) -> None:
        """Read at once what is needed for these."""
        self._shelf.fetch([key for each in terms for key in self._keys(each)])

    def hit(self, terms: Terms) -> None:
        """Count a call. Raises `TooManyCalls`."""
        if terms.burst is not None and terms.subscription is not None:
            hit(self._loaded(terms), terms.burst, terms.subscription)

    def left(self, terms: Terms) -> tuple[Left, ...]:
        """What is left, nothing where there is no limit."""
        if terms.burst is None or terms.subscription is None:
            return ()
        return (left_of_burst(self._loaded(terms), terms.burst, terms.subscription),)

    def write(self) -> None:
        """Write what was counted."""
        rows = [self._row(key, self._counters.counters[key]) for key in self._counters.changed]
        _NEW.run(self._connection, [row for row in rows if self._shelf.get(str(row["its_key"])) is None])
        _CHANGED.run(self._connection, [row for row in rows if self._shelf.get(str(row["its_key"])) is not None])

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

    def _row(self, key: str, counter: Counter) -> dict[str, object]:
        terms = self._whose[key]
        whose = {"tenant": terms.tenant, "principal": terms.account}
        return {"its_key": key, "count": counter.count, "until": counter.until, **whose}

    def _read(self, keys: Collection[str]) -> Iterator[tuple[str, Counter]]:
        for key, count, until in _COUNTERS.rows(self._connection, [(key,) for key in keys]):
            yield key, Counter(count, until)


def forget_past(connection: Connection, now: datetime) -> None:
    """Remove the counters of windows that are over."""
    connection.execute(delete(BurstRow).where(BurstRow.until <= now.timestamp()))


_COUNTERS = Lookup([BurstRow.key, BurstRow.count, BurstRow.until], [BurstRow.key])
_NEW = Write(
    insert(BurstRow).values(
        key=bindparam("its_key"),
        **{name: bindparam(name) for name in ("count", "until", "tenant", "principal")},
    )
)
_CHANGED = Write(
    update(BurstRow)
    .where(BurstRow.key == bindparam("its_key"))
    .values(count=bindparam("count"), until=bindparam("until"))
)
