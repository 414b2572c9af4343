"""Notices in the book: noted with what they tell of, taken by one gateway at a time, kept with what became of them."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, func, insert, select, update

from datacanal.ledger.models import AccountRow, NoticeRow

CLAIM = timedelta(seconds=30)
"""For so long a notice is whoever's took it; longer than any delivery takes."""
GIVEN_UP_AFTER = timedelta(hours=24)
_MAX_PROBLEM = 500


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that an account is to be told, and where. `attempts` counts this one."""

    id: str
    account: str
    url: str
    turn: int
    body: bytes
    attempts: int


@dataclass(frozen=True, slots=True)
class Addressee:
    """The account that is told something."""

    id: str
    tenant: str
    principal: str


@dataclass(frozen=True, slots=True)
class NewNotice:
    """What an account is to be told: `data` of that `type`, once for each `cause`."""

    id: str
    cause: str
    type: str
    data: Mapping[str, object]


def write_notice(connection: Connection, whose: Addressee, notice: NewNotice, now: datetime) -> None:
    """Note it, inside a writing transaction. The body has the form that Standard Webhooks 1.0 asks for."""
    body = {"type": notice.type, "timestamp": now.isoformat(timespec="milliseconds"), "data": notice.data}
    row = {
        "id": notice.id,
        "account_id": whose.id,
        "tenant": whose.tenant,
        "principal": whose.principal,
        "cause": notice.cause,
        "body": json.dumps(body, ensure_ascii=False, separators=(",", ":")),
        "state": "waiting",
        "attempts": 0,
        "due_at": now,
        "created_at": now,
    }
    connection.execute(insert(NoticeRow).values(row))


def is_any_due(connection: Connection, now: datetime, busy: Collection[str]) -> bool:
    """Whether there is something to take or to give up: a look that locks nothing."""
    due = select(NoticeRow.id).where(_is_due(now), NoticeRow.account_id.not_in(busy))
    return connection.execute(due.limit(1)).first() is not None


def take_due(connection: Connection, now: datetime, most: int, busy: Collection[str]) -> list[Notice]:
    """Take notices that are due, inside a writing transaction: of each account one, of the `busy` ones none.

    What is older than a day is given up instead. What is taken and not marked is due again after `CLAIM`.
    """
    late = and_(NoticeRow.state == "waiting", NoticeRow.created_at < now - GIVEN_UP_AFTER)
    connection.execute(update(NoticeRow).where(late).values(state="failed"))
    first = (
        select(func.min(NoticeRow.id))
        .join(AccountRow, AccountRow.id == NoticeRow.account_id)
        .where(_is_due(now), NoticeRow.account_id.not_in(busy))
        .group_by(NoticeRow.account_id)
    )
    ids = list(connection.scalars(first.limit(most)))
    taken = {"due_at": now + CLAIM, "attempts": NoticeRow.attempts + 1}
    connection.execute(update(NoticeRow).where(NoticeRow.id.in_(ids)).values(taken))
    return _read(connection, ids)


def mark_delivered(connection: Connection, notice: Notice, now: datetime) -> None:
    """It arrived."""
    delivered = {"state": "delivered", "delivered_at": now, "problem": None}
    connection.execute(update(NoticeRow).where(NoticeRow.id == notice.id).values(delivered))


def put_off(connection: Connection, notice: Notice, problem: str, until: datetime) -> None:
    """It did not arrive: the account's receiver is left alone until then."""
    connection.execute(update(NoticeRow).where(NoticeRow.id == notice.id).values(problem=problem[:_MAX_PROBLEM]))
    waiting = and_(NoticeRow.account_id == notice.account, NoticeRow.state == "waiting")
    mine_or_sooner = (NoticeRow.id == notice.id) | (NoticeRow.due_at < until)
    connection.execute(update(NoticeRow).where(waiting, mine_or_sooner).values(due_at=until))


def make_due(connection: Connection, account: str, now: datetime) -> None:
    """Whatever waits for the account's receiver waits no longer: the receiver is another one."""
    waiting = and_(NoticeRow.account_id == account, NoticeRow.state == "waiting")
    connection.execute(update(NoticeRow).where(waiting).values(due_at=now))


def newest(connection: Connection, account: str, most: int) -> Sequence[Any]:
    """The account's last notices, the newest first."""
    columns = (
        NoticeRow.id, NoticeRow.body, NoticeRow.state, NoticeRow.attempts,
        NoticeRow.created_at, NoticeRow.delivered_at, NoticeRow.problem,
    )  # fmt: skip
    mine = select(*columns).where(NoticeRow.account_id == account)
    return connection.execute(mine.order_by(NoticeRow.created_at.desc(), NoticeRow.id.desc()).limit(most)).all()


def _is_due(now: datetime) -> ColumnElement[bool]:
    """Due at a receiver that there is, or so late that it is given up."""
    reachable = select(AccountRow.id).where(AccountRow.webhook.is_not(None))
    is_late = NoticeRow.created_at < now - GIVEN_UP_AFTER
    is_due = and_(NoticeRow.due_at <= now, NoticeRow.account_id.in_(reachable))
    return and_(NoticeRow.state == "waiting", is_late | is_due)


def _read(connection: Connection, ids: Sequence[str]) -> list[Notice]:
    columns = (
        NoticeRow.id, NoticeRow.account_id, AccountRow.webhook, AccountRow.webhook_turn,
        NoticeRow.body, NoticeRow.attempts,
    )  # fmt: skip
    rows = connection.execute(
        select(*columns).join(AccountRow, AccountRow.id == NoticeRow.account_id).where(NoticeRow.id.in_(ids))
    )
    return [
        Notice(row.id, row.account_id, str(row.webhook), row.webhook_turn, row.body.encode(), row.attempts)
        for row in rows
    ]
