"""What every subscription with a tariff was used for in a month, as the book has it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from datacanal.domain.months import Month
from datacanal.ledger.counting import NOTHING, Group, Span, Sum, Whose, adjusted, used
from datacanal.ledger.invoicing import Counted, Priced
from datacanal.ledger.models import SubscriptionRow, TariffRow
from datacanal.ledger.tariffs import prices_of, tariff_in

_BY = ("subscription_id", "tariff_id")


def monthly(
    session: Session, subscriptions: Sequence[ColumnElement[bool]], whose: Whose, month: Month, last: int
) -> dict[Priced, Counted]:
    """Those that were active in the month or used in it, counted up to the event of number `last`.

    The conditions say which subscriptions are meant, and which events are theirs.
    """
    span = Span(month.start, month.end, last)
    connection = session.connection()
    sums = used(connection, _BY, whose, span), adjusted(connection, _BY, whose, span)
    charged = _charged(*sums)
    found = {}
    for row in session.scalars(select(SubscriptionRow).where(*subscriptions)):
        for tariff in _tariffs(session, row, charged.get(row.id, set())):
            priced = _priced(row, tariff, month)
            counted = _counted((row.id, tariff.id), *sums)
            if priced.is_active or counted != Counted():
                found[priced] = counted
    return found


def _counted(key: Group, use: Mapping[Group, Sum], corrections: Mapping[Group, Sum]) -> Counted:
    return Counted(use.get(key, NOTHING), corrections.get(key, NOTHING))


def _charged(*sums: Mapping[Group, Sum]) -> dict[str | None, set[str]]:
    """By which tariffs the events of each subscription were charged."""
    charged: dict[str | None, set[str]] = {}
    for subscription, tariff in (group for each in sums for group in each):
        if tariff is not None:
            charged.setdefault(subscription, set()).add(tariff)
    return charged


def _tariffs(session: Session, row: SubscriptionRow, charged: set[str]) -> list[TariffRow]:
    """The subscription's, and whatever else its events were charged by."""
    ids = charged | ({row.tariff_id} if row.tariff_id is not None else set())
    return [session.get_one(TariffRow, tariff) for tariff in sorted(ids)]


def _priced(row: SubscriptionRow, tariff: TariffRow, month: Month) -> Priced:
    return Priced(
        subscription=row.id,
        account=row.account_id,
        seller=tariff.principal,
        product=row.product,
        tariff=tariff.id,
        prices=prices_of(tariff_in(tariff)),
        is_active=row.tariff_id == tariff.id and _was_active(row, month),
    )


def _was_active(row: SubscriptionRow, month: Month) -> bool:
    """A subscription is active from the decision on it until its end; one that ended undecided never was."""
    begun = row.decided_at
    if begun is None or row.state not in ("active", "ended"):
        return False
    return begun < month.end and (row.ended_at is None or row.ended_at > max(begun, month.start))
