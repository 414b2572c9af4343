"""Which gateways live: each counts its beats in the book; whose count stands still is given up.

Time between two looks is the looker's own, so that no clock of another machine, and no clock that jumps, ends a hold;
and a looker that was itself stopped, or could not commit, counts the time of one look for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlalchemy import delete, insert, select, update

from datacanal.ledger.asks import GiveUp
from datacanal.ledger.models import GatewayRow, HoldRow
from datacanal.ledger.page import Page, Reads

LOOKS = 10
"""After so many looks without a beat, a second apart, a gateway is dead."""
_NEVER = -1


@dataclass(frozen=True)
class Watch:
    """What one gateway saw of the others: the beats of each, and for how many looks they have been the same."""

    seen: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    def look(self, beats: Mapping[str, int]) -> Watch:
        """What it has seen after one more look."""
        return Watch({gateway: (count, self._still(gateway, count)) for gateway, count in beats.items()})

    def dead(self) -> list[str]:
        """Whose count has stood still for too long."""
        return [gateway for gateway, (_count, still) in self.seen.items() if still >= LOOKS]

    def _still(self, gateway: str, count: int) -> int:
        before, still = self.seen.get(gateway, (count, -1))
        return still + 1 if before == count else 0


@dataclass(frozen=True, slots=True)
class Looked:
    """What a beat came to: what is seen now, once that is committed, and how many holds of which gateways ended."""

    watch: Watch
    given_up: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Beat:
    """Say that the gateway lives, look at the others, give up the holds of the dead; forget old bursts."""

    gateway: str
    watch: Watch

    def reads(self, _reads: Reads) -> None:
        """Nothing that others read too."""

    def act(self, page: Page) -> Looked:
        _say(page, self.gateway)
        page.holds.write()
        watch = self.watch.look(_others(page, self.gateway))
        given_up = {dead: GiveUp(dead).act(page) for dead in watch.dead()}
        page.connection.execute(delete(GatewayRow).where(GatewayRow.id.in_(given_up)))
        page.bursts.forget_past()
        return Looked(watch, given_up)


@dataclass(frozen=True, slots=True)
class Leave:
    """The gateway ends, and so do its holds."""

    gateway: str

    def reads(self, _reads: Reads) -> None:
        """Nothing that others read too."""

    def act(self, page: Page) -> int:
        page.connection.execute(delete(GatewayRow).where(GatewayRow.id == self.gateway))
        return GiveUp(self.gateway).act(page)


def _say(page: Page, gateway: str) -> None:
    said = page.connection.execute(
        update(GatewayRow).where(GatewayRow.id == gateway).values(seen_at=page.now, beats=GatewayRow.beats + 1)
    )
    if said.rowcount == 0:
        whose = {"tenant": "system", "principal": "system"}
        page.connection.execute(insert(GatewayRow).values(id=gateway, seen_at=page.now, beats=1, **whose))


def _others(page: Page, gateway: str) -> dict[str, int]:
    holding = select(HoldRow.gateway_id).distinct().where(HoldRow.gateway_id != gateway)
    saying = select(GatewayRow.id, GatewayRow.beats).where(GatewayRow.id != gateway)
    silent = {row.gateway_id: _NEVER for row in page.connection.execute(holding)}
    return silent | {row.id: row.beats for row in page.connection.execute(saying)}
