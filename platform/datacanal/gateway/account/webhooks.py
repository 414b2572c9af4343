"""Routes of an account's webhook."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from fastapi import APIRouter, Request, Response

from datacanal.domain.access import Action
from datacanal.domain.metering_errors import AccountClosed
from datacanal.gateway.account.asking import allowed_by
from datacanal.gateway.account.services import Services
from datacanal.gateway.webhook_addresses import webhook_address
from datacanal.gateway.webhook_signing import WebhookSecrets
from datacanal.ledger.accounts import found_account, moment
from datacanal.ledger.asking import Asker, not_found
from datacanal.ledger.notices import Addressee, NewNotice, make_due, newest, write_notice
from datacanal.protocol.webhooks import NoticeView, WebhookRequest, WebhookSecret, WebhookView
from datacanal.serving.answers import answer, nothing
from datacanal.serving.bodies import read_document
from datacanal.serving.documents import json_body, problems

_SHOWN = 20


def webhook_routes(services: Services, caller: Any) -> APIRouter:
    """Set, show, remove and try the address that an account is told things at."""
    router = APIRouter(prefix="/v1/accounts/{account}/webhook", tags=["webhooks"])
    webhooks = Webhooks(services)
    managing = allowed_by(services, caller)(Action.MANAGE_SUBSCRIPTIONS)

    @router.put(
        "",
        response_model=WebhookSecret,
        responses=problems(404, 409, body=True),
        openapi_extra=json_body(WebhookRequest),
    )
    async def put(request: Request, account: str, asker: Asker = managing) -> Response:
        """Send notices there from now on; the secret that they are signed with is new and shown this once."""
        wanted = await read_document(request, WebhookRequest)
        return answer(await asyncio.to_thread(webhooks.put, asker, account, wanted.url))

    @router.get("", response_model=WebhookView, responses=problems(404))
    def show(account: str, asker: Asker = managing) -> Response:
        """The address, and what became of the last notices."""
        return answer(webhooks.show(asker, account))

    @router.delete("", status_code=204, responses=problems(404))
    def delete(account: str, asker: Asker = managing) -> Response:
        """Send nothing any more. What waits is kept for a day from when it was noted."""
        webhooks.remove(asker, account)
        return nothing()

    @router.post("/test", status_code=202, response_model=NoticeView, responses=problems(404))
    def test(account: str, asker: Asker = managing) -> Response:
        """Note a `webhook.test`, which is sent like any other notice."""
        return answer(webhooks.test(asker, account), 202)

    return router


class Webhooks:
    """What the routes do with an account that exists for the asker. Raises `NotFound` for any other."""

    def __init__(self, services: Services) -> None:
        self._store = services.store
        self._now = services.now
        self._new_id = services.new_id
        self._secrets = WebhookSecrets(services.home)

    def put(self, asker: Asker, account: str, url: str) -> WebhookSecret:
        """The new secret. Raises `WebhookRefused`, `AccountClosed`."""
        with self._store.writing_rows() as session:
            row = found_account(session, asker, account)
            if row.closed_at is not None:
                raise AccountClosed(account=row.id, closed_at=moment(row.closed_at))
            webhook_address(url)
            row.webhook = url
            row.webhook_turn += 1
            make_due(session.connection(), row.id, self._now())
            return WebhookSecret(url=url, secret=self._secrets.text_of(row.id, row.webhook_turn))

    def show(self, asker: Asker, account: str) -> WebhookView:
        """The address and the last notices."""
        with self._store.reading_rows() as session:
            row = found_account(session, asker, account)
            notices = newest(session.connection(), row.id, _SHOWN)
            return WebhookView(url=row.webhook, notices=[_view(notice) for notice in notices])

    def remove(self, asker: Asker, account: str) -> None:
        """There is none any more; doing it again changes nothing."""
        with self._store.writing_rows() as session:
            found_account(session, asker, account).webhook = None

    def test(self, asker: Asker, account: str) -> NoticeView:
        """The notice, as it waits. Raises `NotFound` also where no address is set."""
        notice, now = self._new_id("ntc"), self._now()
        with self._store.writing_rows() as session:
            row = found_account(session, asker, account)
            if row.webhook is None:
                raise not_found("webhook of the account", account)
            data = {"account": row.id, "message": "This is a test: notices of this account arrive here."}
            test = NewNotice(notice, f"test:{notice}", "webhook.test", data)
            write_notice(session.connection(), Addressee(row.id, row.tenant, row.principal), test, now)
        return NoticeView(id=notice, type=test.type, state="waiting", attempts=0, created_at=now)


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
