"""What the sites shall be told besides leases: kept in memory, because whoever asked is waiting for it."""

from __future__ import annotations

from collections import defaultdict

from datacanal.control.catalogue import CatalogueBook
from datacanal.control.desk import Desk
from datacanal.control.presence import Presence
from datacanal.control.signals import CATALOGUE, site_signal
from datacanal.protocol.site import Command, RefreshCommand


class CommandBox:
    """Commands per site, taken by whichever of its agents polls next."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._waiting: defaultdict[str, list[Command]] = defaultdict(list)

    def post(self, site: str, command: Command) -> None:
        """Tell the site; the same command twice is told once."""
        if command not in self._waiting[site]:
            self._waiting[site].append(command)
        self._desk.signals.wake([site_signal(site)])

    def take(self, site: str) -> list[Command]:
        return self._waiting.pop(site, [])

    def withdraw(self, site: str, command: Command) -> None:
        """Nobody waits for it any more."""
        if command in self._waiting.get(site, []):
            self._waiting[site].remove(command)


class Refresher:
    """Asks sites to list their lakes again, and waits for their reports."""

    def __init__(self, desk: Desk, catalogue: CatalogueBook, commands: CommandBox, presence: Presence) -> None:
        self._desk = desk
        self._catalogue = catalogue
        self._commands = commands
        self._presence = presence

    async def refresh(self, tenant: str, lake: str | None, wait_s: float) -> bool:
        """Ask every connected site that has the lake (None: any lake); True when all reported within `wait_s`."""
        lakes = self._catalogue.known(tenant).lakes
        having = {item.site for item in lakes if lake is None or item.report.name == lake}
        before = {site: self._catalogue.reports[site] for site in having if self._presence.connected(site)}
        with self._desk.signals.subscribe(CATALOGUE) as reports:
            for site in before:
                self._commands.post(site, RefreshCommand(lake=lake))
            loop_until = self._desk.clock.monotonic() + wait_s
            while any(self._catalogue.reports[site] == count for site, count in before.items()):
                if not await reports.next(max(0.0, loop_until - self._desk.clock.monotonic())):
                    return False
        return True
