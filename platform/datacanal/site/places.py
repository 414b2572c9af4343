"""Where an agent keeps its files. Everything here belongs to the agent; only `scratch` is shared with its pool."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

_RESERVE_BYTES = 2 * 2**30
_RESERVE_SHARE = 0.1


@dataclass(frozen=True)
class Places:
    """The home of one site on this machine."""

    home: Path

    @property
    def database(self) -> Path:
        return self.home / "site.db"

    @property
    def mask_keys(self) -> Path:
        """The keys of the mask `hash`, one per lake."""
        return self.home / "masks"

    @property
    def scratch(self) -> Path:
        return self.home / "scratch"

    @property
    def inputs(self) -> Path:
        """Received transfers, for as long as their step runs."""
        return self.scratch / "inputs"

    @property
    def outputs(self) -> Path:
        """What steps made, and exports of it."""
        return self.scratch / "outputs"

    def ensure(self) -> None:
        """Make the folders, for their owner only."""
        for folder in (self.home, self.scratch, self.inputs, self.outputs):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def room_bytes(self) -> int:
        """How much may still be written: what is free but for 2 GiB, or a tenth of a small disk."""
        disk = shutil.disk_usage(self.scratch)
        return max(0, disk.free - min(_RESERVE_BYTES, int(disk.total * _RESERVE_SHARE)))
