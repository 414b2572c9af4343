"""Routes of an account's webhook."""

from __future__ import annotations

import json
from typing import Any

from fastapi import APIRouter, Request, Response
from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool

from datacanal.domain.access import Principal
from datacanal.domain.errors import NotFound
from datacanal.gateway.account.services import Services
from datacanal.gateway.webhook_addresses import webhook_address
from datacanal.gateway.webhook_signing import WebhookSecrets
from datacanal.ledger.models import AccountRow
from datacanal.ledger.notices import make_due, newest, write_notice
from datacanal.protocol.webhooks import NoticeView, WebhookRequest, WebhookSecret, WebhookView
from datacanal.serving.answers import answer, nothing
from datacanal.serving.bodies import read_document
from datacanal.serving.documents import json_body, problems

_SHOWN = 20


def webhook_routes(services: Services, caller: Any) -> APIRouter:
    """Set, show, remove and try the address that an account is told things at."""
    router = APIRouter(prefix="/v1/accounts/{account}/webhook", tags=["webhooks"])
    webhooks = Webhooks(services)

    @router.put(
        "", response_model=WebhookSecret, responses=problems(404, body=True), openapi_extra=json_body(WebhookRequest)
    )
    async def put(request: Request, account: str, caller: Principal = caller) -> Response:
        """Send notices there from now on; the secret that they are signed with is new and shown this once."""
        wanted = await read_document(request, WebhookRequest)
        return answer(await run_in_threadpool(webhooks.put, caller, account, wanted.url))

    @router.get("", response_model=WebhookView, responses=problems(404))
    async def show(account: str, caller: Principal = caller) -> Response:
        """The address, and what became of the last notices."""
        return answer(await run_in_threadpool(webhooks.show, caller, account))

    @router.delete("", status_code=204, responses=problems(404))
    async def delete(account: str, caller: Principal = caller) -> Response:
        """Send nothing any more. What waits is kept for a day from when it was noted."""
        await run_in_threadpool(webhooks.remove, caller, account)
        return nothing()

    @router.post("/test", status_code=202, response_model=NoticeView, responses=problems(404))
    async def test(account: str, caller: Principal = caller) -> Response:
        """Note a `webhook.test`, which is sent like any other notice."""
        return answer(await run_in_threadpool(webhooks.test, caller, account), 202)

    return router


class Webhooks:
    """What the routes do, for whoever owns the account or administers its tenant; for others there is none."""

    def __init__(self, services: Services) -> None:
        self._store = services.store
        self._now = services.now
        self._new_id = services.new_id
        self._secrets = WebhookSecrets(services.home)

    def put(self, caller: Principal, account: str, url: str) -> WebhookSecret:
        """The new secret. Raises `WebhookRefused`, `NotFound`."""
        with self._store.writing_rows() as session:
            row = _own(session, caller, account)
            webhook_address(url)
            row.webhook = url
            row.webhook_turn += 1
            make_due(session.connection(), row.id, self._now())
            return WebhookSecret(url=url, secret=self._secrets.text_of(row.id, row.webhook_turn))

    def show(self, caller: Principal, account: str) -> WebhookView:
        """Raises `NotFound`."""
        with self._store.reading_rows() as session:
            row = _own(session, caller, account)
            notices = newest(session.connection(), row.id, _SHOWN)
            return WebhookView(url=row.webhook, notices=[_view(notice) for notice in notices])

    def remove(self, caller: Principal, account: str) -> None:
        """Raises `NotFound`."""
        with self._store.writing_rows() as session:
            _own(session, caller, account).webhook = None

    def test(self, caller: Principal, account: str) -> NoticeView:
        """The notice, as it waits. Raises `NotFound`, also where no address is set."""
        notice, now = self._new_id("ntc"), self._now()
        with self._store.writing_rows() as session:
            row = _own(session, caller, account)
            if row.webhook is None:
                raise NotFound(what="webhook of the account", name=account[:200])
            whose = {"id": row.id, "tenant": row.tenant, "principal": row.principal}
            data = {"account": row.id, "message": "This is a test: notices of this account arrive here."}
            write_notice(session.connection(), whose, notice, f"test:{notice}", "webhook.test", data, now)
        return NoticeView(id=notice, type="webhook.test", state="waiting", attempts=0, created_at=now)


def _own(session: Session, caller: Principal, account: str) -> AccountRow:
    row = session.scalars(
        select(AccountRow).where(AccountRow.id == account, AccountRow.tenant == caller.tenant)
    ).first()
    if row is None or (caller.role != "admin" and row.principal != caller.name):
        raise NotFound(what="account", name=account[:200])
    return row


def _view(row: Any) -> NoticeView:
    return NoticeView(
        id=row.id,
        type=json.loads(row.body)["type"],
        state=row.state,
        attempts=row.attempts,
        created_at=row.created_at,
        delivered_at=row.delivered_at,
        problem=row.problem,
    )
