"""`datacanal serve gateway` over a home that a test wrote: its configuration, its command, and whether it answers."""

from __future__ import annotations

import sys
from pathlib import Path

import httpx

from datacanal.storage.places import EMBEDDED


def gateway_command(
    configuration: Path, home: Path, store: Path, listen: str, *, database: str = EMBEDDED, options: str = ""
) -> list[str]:
    """The command, after its configuration was written; `options` are lines of its section."""
    configuration.write_text(
        f'home = "{home}"\n[control]\ndatabase = "{database}"\n'
        f'[gateway]\nlisten = "{listen}"\nstore = "{store}"\n{options}\n'
    )
    return [sys.executable, "-m", "datacanal.cli", "serve", "gateway", "--config", str(configuration)]


def answers(url: str) -> bool:
    """Whether a gateway is healthy there."""
    try:
        return httpx.get(f"{url}/health", trust_env=False).is_success
    except httpx.TransportError:
        return False
