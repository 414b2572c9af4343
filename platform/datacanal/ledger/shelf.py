"""What of a table was read, so that each row is read once."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Shelf(Generic[K, V]):
    """Values by key, read when they are first asked for; `fetch` reads many at once.

    `values` are those that are known before; what is read or put is put there.
    """

    def __init__(
        self, read: Callable[[Collection[K]], Iterable[tuple[K, V]]], values: dict[K, V | None] | None = None
    ) -> None:
        self._read = read
        self._values: dict[K, V | None] = {} if values is None else values

    def fetch(self, keys: Collection[K]) -> None:
        """Read those that were not read yet."""
        missing = [key for key in dict.fromkeys(keys) if key not in self._values]
        if missing:
            self._values.update(dict.fromkeys(missing))
            self._values.update(self._read(missing))

    def get(self, key: K) -> V | None:
        """The value, None where there is none."""
        try:
            return self._values[key]
        except KeyError:
            self.fetch((key,))
            return self._values[key]

    def put_absent(self, keys: Iterable[K]) -> None:
        """None of these is there: they need not be read."""
        self._values.update(dict.fromkeys(keys))

    def drop(self, is_gone: Callable[[V | None], bool]) -> None:
        """Forget the values, None included, of which this is so."""
        for key in [key for key, value in self._values.items() if is_gone(value)]:
            del self._values[key]

    def put(self, key: K, value: V | None) -> None:
        """What it is from now on."""
        self._values[key] = value
