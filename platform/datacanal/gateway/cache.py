"""What was made before and may be wanted again, bounded in bytes; the least recently wanted goes first."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

V = TypeVar("V")


class Cache(Generic[V]):
    """Values by their keys. What is larger than an eighth of the whole is not kept: it would drive too much out."""

    def __init__(self, capacity_bytes: int) -> None:
        self._capacity_bytes = capacity_bytes
        self._held_bytes = 0
        self._entries: OrderedDict[Hashable, tuple[V, int]] = OrderedDict()

    def get(self, key: Hashable) -> V | None:
        """The value of the key, if it is held."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        self._entries.move_to_end(key)
        return entry[0]

    def put(self, key: Hashable, value: V, size_bytes: int) -> None:
        """Hold a value of that size."""
        if size_bytes > self._capacity_bytes // 8:
            return
        self._held_bytes -= self._entries.pop(key, (None, 0))[1]
        self._entries[key] = (value, size_bytes)
        self._held_bytes += size_bytes
        while self._held_bytes > self._capacity_bytes:
            _, (_, gone_bytes) = self._entries.popitem(last=False)
            self._held_bytes -= gone_bytes

    @property
    def held_bytes(self) -> int:
        """How much is held now."""
        return self._held_bytes
