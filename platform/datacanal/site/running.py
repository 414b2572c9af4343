"""How far an attempt is."""

from __future__ import annotations

from dataclasses import dataclass, field

from datacanal.site.fetcher import Arrival


@dataclass
class Running:
    """For heartbeats and for the attempt's log. `said` never leaves the site."""

    waits: str | None = None
    fraction: float = 0.0
    said: str = ""
    in_pool: bool = False
    arrivals: dict[str, Arrival] = field(default_factory=dict)
