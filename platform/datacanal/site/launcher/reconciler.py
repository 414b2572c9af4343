"""What nobody holds any more is removed: ended containers, those of earlier boots, networks without containers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

import structlog

from datacanal.site.launcher.engine import FoundContainer, FoundNetwork
from datacanal.site.launcher.household import Household
from datacanal.site.launcher.labels import Label

EVERY_S = 5.0
READ_WITHIN = timedelta(seconds=10)
"""How long a container that has ended stays, for its state and its words to be read."""
STARTED_WITHIN = timedelta(seconds=30)
"""How long a container may be there without being started, and a network without containers."""
_log = structlog.get_logger()


def orphans(containers: Iterable[FoundContainer], newest_boot: str | None, now: datetime) -> list[FoundContainer]:
    """The containers that nobody holds. As long as no boot is known, what runs stays."""

    def is_orphan(found: FoundContainer) -> bool:
        if newest_boot is not None and found.labels.get(Label.BOOT) != newest_boot:
            return True
        match found.status:
            case "running":
                return False
            case "created":
                return now - found.created_at > STARTED_WITHIN
            case "ended":
                return now - (found.finished_at or found.created_at) > READ_WITHIN

    return [found for found in containers if is_orphan(found)]


class Reconciler:
    """Looks after one site. `reconcile` blocks, and is safe at any time."""

    def __init__(self, household: Household) -> None:
        self._household = household
        self._empty_since: dict[str, datetime] = {}

    def reconcile(self, now: datetime | None = None) -> None:
        """One round. Raises what the engine raises."""
        now = now or datetime.now(UTC)
        household = self._household
        # Networks first: one that is made in between is not taken for one without containers.
        networks = household.networks()
        containers = household.containers()
        gone = orphans(containers, household.newest_boot(), now)
        household.remove_all(gone)
        left = [found for found in containers if found not in gone]
        unused = self._unused(networks, left, now)
        for network in unused:
            household.remove_network(network.labels[Label.POOL])
        if gone or unused:
            _log.info("orphans_removed", site=household.site.name, containers=len(gone), networks=len(unused))

    def _unused(
        self, networks: Sequence[FoundNetwork], containers: Iterable[FoundContainer], now: datetime
    ) -> list[FoundNetwork]:
        """Networks that have been without containers for long, and were not asked for since."""
        used = {found.labels.get(Label.POOL) for found in containers}
        empty = [network for network in networks if network.labels.get(Label.POOL) not in used]
        self._empty_since = {network.id: self._empty_since.get(network.id, now) for network in empty}
        return [network for network in empty if now - self._idle_since(network) > STARTED_WITHIN]

    def _idle_since(self, network: FoundNetwork) -> datetime:
        empty_since = self._empty_since[network.id]
        return max(empty_since, self._household.ensured_at(network.labels[Label.POOL]) or empty_since)
