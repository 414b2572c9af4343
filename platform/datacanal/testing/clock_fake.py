"""A clock that a test moves."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from datacanal.domain.ids import RANDOM_BYTES, new_id


class FakeClock:
    """Stands still until told otherwise; ids come out in order and the same in every run."""

    def __init__(self, boot: str = "boot-1") -> None:
        self.boot = boot
        self._now = datetime(2030, 1, 1, tzinfo=UTC)
        self._monotonic = 1000.0
        self._ids = 0

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return self._monotonic

    def new_id(self, prefix: str) -> str:
        self._ids += 1
        return new_id(prefix, self._now, self._ids.to_bytes(RANDOM_BYTES, "big"))

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._now += timedelta(seconds=seconds)
        self._monotonic += seconds

    def shift_wall(self, seconds: float) -> None:
        """Set the wall clock; monotonic time does not notice."""
        self._now += timedelta(seconds=seconds)

    def reboot(self, down_s: float = 60.0) -> None:
        """The machine starts anew: monotonic time begins somewhere else."""
        self.boot += "+"
        self._now += timedelta(seconds=down_s)
        self._monotonic = 5.0
