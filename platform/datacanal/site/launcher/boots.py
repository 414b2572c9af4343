"""Which boot of each site's agent said hello last. Durable, so that a restarted launcher tells old containers apart."""

from __future__ import annotations

import json
from pathlib import Path
from threading import Lock

from datacanal.homes import write_secret


class Boots:
    """The newest boot per site, in one file."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lock = Lock()
        self._newest: dict[str, str] = json.loads(file.read_text("utf-8")) if file.exists() else {}

    def newest(self, site: str) -> str | None:
        """None where no agent of the site ever said hello."""
        return self._newest.get(site)

    def remember(self, site: str, boot: str) -> None:
        """From now on this one is the newest."""
        with self._lock:
            if self._newest.get(site) != boot:
                self._newest = {**self._newest, site: boot}
                write_secret(self._file, json.dumps(self._newest).encode())
