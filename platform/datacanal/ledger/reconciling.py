"""Compare the receipts that a caller holds with the book."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime

from sqlalchemy import ColumnElement, Connection, Row, select

from datacanal.domain.access import Principal
from datacanal.domain.errors import BadField
from datacanal.domain.months import month_named
from datacanal.ledger.models import EventRow, HoldRow
from datacanal.ledger.owning import chosen_accounts
from datacanal.ledger.store import LedgerStore
from datacanal.protocol.receipts import MOST_RECEIPTS, Difference, NamedReceipt, ReconcileRequest, Reconciliation

_FIGURES = ("calls", "rows", "bytes", "compute_ms", "units")
_AT_ONCE = 500
"""How many values one statement names."""


def reconcile(store: LedgerStore, caller: Principal, request: ReconcileRequest) -> Reconciliation:
    """What is missing on either side. Raises `NotFound` for another's account, `BadField` for a wrong span."""
    since, until = _span(request)
    named = {each.id: each for each in map(_named, request.receipts)}
    with store.reading() as connection:
        accounts = chosen_accounts(connection, caller, request.account)
        known = {row.id: row for row in _rows(connection, EventRow, caller.tenant, accounts, list(named))}
        held = {row.id for row in _rows(connection, HoldRow, caller.tenant, accounts, list(named))}
        unnamed = list(_unnamed(connection, caller.tenant, accounts, (since, until), named))
    differing = [each for receipt, row in known.items() for each in _differences(named[receipt], row)]
    return Reconciliation(
        matched=len(known) - len({each.id for each in differing}),
        missing=[receipt for receipt in named if receipt not in known and receipt not in held],
        reserved=sorted(held - known.keys()),
        unnamed=unnamed[:MOST_RECEIPTS],
        has_more=len(unnamed) > MOST_RECEIPTS,
        differing=differing,
    )


def _named(given: str | NamedReceipt) -> NamedReceipt:
    return NamedReceipt(id=given) if isinstance(given, str) else given


def _span(request: ReconcileRequest) -> tuple[datetime | None, datetime | None]:
    since, until = (_instant(name, getattr(request, name)) for name in ("since", "until"))
    if since is not None and until is not None and until <= since:
        raise BadField(field="until", reason="it must be after since")
    if request.period is None:
        return since, until
    if since is not None or until is not None:
        raise BadField(field="period", reason="either the period or since and until say the time")
    month = month_named(request.period)
    return month.start, month.end


def _instant(field: str, at: datetime | None) -> datetime | None:
    if at is None:
        return None
    if at.tzinfo is None:
        raise BadField(field=field, reason="a time zone is needed: 2026-11-01T00:00:00Z")
    try:
        return at.astimezone(UTC)
    except OverflowError:
        raise BadField(field=field, reason="there is no such time in UTC") from None


def _rows(
    connection: Connection, table: type[EventRow] | type[HoldRow], tenant: str, accounts: Sequence[str], ids: list[str]
) -> Iterator[Row[tuple[object, ...]]]:
    columns = [getattr(table, name) for name in ("id", *_FIGURES) if hasattr(table, name)]
    for start in range(0, len(ids), _AT_ONCE):
        whose = (table.tenant == tenant, table.account_id.in_(accounts))
        yield from connection.execute(select(*columns).where(table.id.in_(ids[start : start + _AT_ONCE]), *whose))


def _unnamed(
    connection: Connection,
    tenant: str,
    accounts: Sequence[str],
    span: tuple[datetime | None, datetime | None],
    named: Mapping[str, NamedReceipt],
) -> Iterator[NamedReceipt]:
    """The events of the span that were not named, one more than are told at most."""
    where: list[ColumnElement[bool]] = [EventRow.tenant == tenant, EventRow.account_id.in_(accounts)]
    since, until = span
    where += [EventRow.at >= since] if since is not None else []
    where += [EventRow.at < until] if until is not None else []
    columns = [getattr(EventRow, name) for name in ("id", *_FIGURES)]
    most = MOST_RECEIPTS + len(named) + 1
    for row in connection.execute(select(*columns).where(*where).order_by(EventRow.seq).limit(most)):
        if row.id not in named:
            yield NamedReceipt(**row._mapping)


def _differences(given: NamedReceipt, row: Row[tuple[object, ...]]) -> Iterator[Difference]:
    for field in _FIGURES:
        said, recorded = getattr(given, field), getattr(row, field)
        if said is not None and said != recorded:
            yield Difference(id=given.id, field=field, given=said, recorded=recorded)
