"""The control plane's one source of time and randomness, so that a test can replay both."""

from __future__ import annotations

import os
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from datacanal.domain.ids import RANDOM_BYTES, new_id

_LINUX_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class Clock(Protocol):
    """Wall time is for people; every deadline is monotonic time, which is comparable within one `boot` only."""

    @property
    def boot(self) -> str: ...

    def now(self) -> datetime: ...

    def monotonic(self) -> float: ...

    def new_id(self, prefix: str) -> str: ...


class SystemClock:
    """The machine's clocks. A shifted wall clock neither expires a lease nor keeps one alive."""

    def __init__(self) -> None:
        self.boot = _boot_id()

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    def new_id(self, prefix: str) -> str:
        return new_id(prefix, self.now(), os.urandom(RANDOM_BYTES))


def _boot_id() -> str:
    """The machine's boot; where the system does not tell, every start of this process counts as one."""
    try:
        return _LINUX_BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return uuid.uuid4().hex
