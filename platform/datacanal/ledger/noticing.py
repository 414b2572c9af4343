"""Write down that a quota is nearly or wholly used, for the webhook that tells its account."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import Connection, select

from datacanal.domain.ids import RANDOM_BYTES, new_id
from datacanal.domain.usage import Terms, period_end
from datacanal.ledger.charging import Counted, passed
from datacanal.ledger.models import AccountRow
from datacanal.ledger.notices import Addressee, NewNotice, write_notice
from datacanal.ledger.tallies import Tallies

QUOTA_THRESHOLD = "quota.threshold_reached"


def notice_passed(
    connection: Connection, tallies: Tallies, terms: Terms, counted: Iterable[Counted], now: datetime
) -> None:
    """A notice for each percentage that was reached now, if the account has a webhook."""
    for each in counted:
        for percent in passed(each.quota, each.tally):
            each.tally.percent = percent
            tallies.changed(each.tally)
            _write(connection, terms, each, percent, now)


def _write(connection: Connection, terms: Terms, counted: Counted, percent: int, now: datetime) -> None:
    account = connection.execute(
        select(AccountRow.tenant, AccountRow.principal).where(
            AccountRow.id == terms.account, AccountRow.webhook.is_not(None)
        )
    ).one_or_none()
    if account is None:
        return
    start = counted.tally.start.isoformat()
    cause = f"quota:{terms.subscription}:{counted.quota.name}:{start}:{percent}"
    number = new_id("ntc", now, hashlib.sha256(cause.encode()).digest()[:RANDOM_BYTES])
    notice = NewNotice(number, cause, QUOTA_THRESHOLD, _data(terms, counted, percent))
    write_notice(connection, Addressee(terms.account, account.tenant, account.principal), notice, now)


def _data(terms: Terms, counted: Counted, percent: int) -> dict[str, object]:
    tally = counted.tally
    return {
        "account": terms.account,
        "subscription": terms.subscription,
        "product": terms.product,
        "quota": counted.quota.name,
        "used": tally.used,
        "amount": counted.quota.amount,
        "percent": percent,
        "period": {"start": tally.start.isoformat(), "end": period_end(tally.start, tally.period).isoformat()},
    }
