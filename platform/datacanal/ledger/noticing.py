"""Write down that a quota is nearly or wholly used, for the webhook that tells its account."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import Connection, insert, select

from datacanal.domain.ids import RANDOM_BYTES, new_id
from datacanal.domain.usage import Terms, period_end
from datacanal.ledger.charging import Counted, passed
from datacanal.ledger.models import AccountRow, NoticeRow
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
    connection.execute(
        insert(NoticeRow).values(
            id=new_id("ntc", now, hashlib.sha256(cause.encode()).digest()[:RANDOM_BYTES]),
            account_id=terms.account,
            cause=cause,
            body=json.dumps(_body(terms, counted, percent)),
            state="waiting",
            attempts=0,
            due_at=now,
            created_at=now,
            tenant=account.tenant,
            principal=account.principal,
        )
    )


def _body(terms: Terms, counted: Counted, percent: int) -> dict[str, object]:
    tally = counted.tally
    return {
        "type": QUOTA_THRESHOLD,
        "account": terms.account,
        "subscription": terms.subscription,
        "product": terms.product,
        "quota": counted.quota.name,
        "used": tally.used,
        "amount": counted.quota.amount,
        "percent": percent,
        "period": {"start": tally.start.isoformat(), "end": period_end(tally.start, tally.period).isoformat()},
    }
