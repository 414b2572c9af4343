"""Count again what the meters say, from the events and holds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from datacanal.domain.chain import FIELDS, instant
from datacanal.domain.usage import Dimension
from datacanal.ledger.models import HoldRow, MeterRow
from datacanal.ledger.walking import Event, Fault

_SUBSCRIPTION, _RESERVED_AT = FIELDS.index("subscription_id"), FIELDS.index("reserved_at")
_AMOUNTS = [FIELDS.index(each.value) for each in Dimension]
_LENGTH = {"hour": 13, "day": 10, "month": 7}
"""How much of an instant's text names its period."""


class Recount:
    """What of each dimension the events of a subscription come to by hour, day and month."""

    def __init__(self) -> None:
        self._hours: dict[tuple[str, str], list[int]] = {}

    def add(self, event: Event) -> None:
        """Count an event."""
        subscription = event[_SUBSCRIPTION]
        if subscription is not None:
            sums = self._hours.setdefault((subscription, event[_RESERVED_AT][:13]), [0, 0, 0, 0])
            for place, amount in enumerate(_AMOUNTS):
                sums[place] += event[amount]

    def faults(self, connection: Connection) -> Iterator[Fault]:
        """Every meter that says something else."""
        used, held = self._used(), _held(connection)
        for row in connection.execute(select(MeterRow.__table__).order_by(MeterRow.subscription_id, MeterRow.start)):
            key = _key(row.subscription_id, row.dimension, row.period, row.start)
            if (row.used, row.held) != (used[key], held[key]):
                reason = (
                    f"the meter of subscription {row.subscription_id}, {row.dimension} of the {row.period} from "
                    f"{instant(row.start)}, says {row.used} used and {row.held} held; "
                    f"events and holds come to {used[key]} and {held[key]}"
                )
                yield Fault("meter", 0, 0, reason)

    def _used(self) -> dict[Any, int]:
        sums: dict[Any, int] = defaultdict(int)
        for (subscription, hour), amounts in self._hours.items():
            for period, length in _LENGTH.items():
                for dimension, amount in zip(Dimension, amounts, strict=True):
                    sums[subscription, dimension.value, period, hour[:length]] += amount
        return sums


def _held(connection: Connection) -> dict[Any, int]:
    sums: dict[Any, int] = defaultdict(int)
    for row in connection.execute(select(HoldRow.__table__)):
        for period in _LENGTH:
            for dimension in Dimension:
                sums[_key(row.subscription_id, dimension.value, period, row.reserved_at)] += getattr(
                    row, dimension.value
                )
    return sums


def _key(subscription: str, dimension: str, period: str, at: datetime) -> tuple[str, str, str, str]:
    return subscription, dimension, period, instant(at)[: _LENGTH[period]]
