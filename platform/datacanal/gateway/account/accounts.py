"""Routes of accounts."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import APIRouter, Request, Response

from datacanal.domain.access import Action
from datacanal.gateway.account.asking import allowed_by, made_by
from datacanal.gateway.account.paging import LIMIT, Cursor, Limit, page_of, slice_of
from datacanal.gateway.account.services import Services
from datacanal.ledger.accounts import Accounts
from datacanal.ledger.asking import Asker
from datacanal.protocol.accounts import AccountList, AccountRequest, AccountUpdate, AccountView
from datacanal.serving.answers import answer
from datacanal.serving.bodies import read_document
from datacanal.serving.documents import json_body, problems

_PATH = "/v1/accounts"


def account_routes(services: Services, caller: Any) -> APIRouter:
    """Open, see, rename and close accounts."""
    router = APIRouter(prefix=_PATH, tags=["accounts"])
    accounts = Accounts(services.store, made_by(services))
    managing = allowed_by(services, caller)(Action.MANAGE_SUBSCRIPTIONS)

    @router.post(
        "",
        status_code=201,
        response_model=AccountView,
        responses=problems(409, body=True),
        openapi_extra=json_body(AccountRequest),
    )
    async def create(request: Request, asker: Asker = managing) -> Response:
        """The caller's account; one that was closed is open again."""
        wanted = await read_document(request, AccountRequest)
        made = await asyncio.to_thread(accounts.create, asker, wanted)
        return answer(made, 201, Location=f"{_PATH}/{made.id}")

    @router.get("", response_model=AccountList, responses=problems())
    def list_accounts(limit: Limit = LIMIT, cursor: Cursor = None, asker: Asker = managing) -> Response:
        """The caller's account; to administrators all."""
        part = slice_of(limit, cursor, {})
        shown, more = accounts.list_slice(asker, part)
        return answer(AccountList(accounts=shown, page=page_of(_PATH, part, {}, shown, more)))

    @router.get("/{account}", response_model=AccountView, responses=problems(404))
    def show(account: str, asker: Asker = managing) -> Response:
        """One account."""
        return answer(accounts.show(asker, account))

    @router.patch(
        "/{account}",
        response_model=AccountView,
        responses=problems(404, 409, body=True),
        openapi_extra=json_body(AccountUpdate),
    )
    async def update(request: Request, account: str, asker: Asker = managing) -> Response:
        """Change what is given."""
        changes = await read_document(request, AccountUpdate)
        return answer(await asyncio.to_thread(accounts.update, asker, account, changes))

    @router.post("/{account}/close", response_model=AccountView, responses=problems(404))
    def close(account: str, asker: Asker = managing) -> Response:
        """End its subscriptions and keys, now."""
        return answer(accounts.close(asker, account))

    return router
