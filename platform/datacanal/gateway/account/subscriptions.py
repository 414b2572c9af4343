"""Routes of subscriptions."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from datacanal.domain.access import Action, owns_product
from datacanal.domain.errors import BadField
from datacanal.domain.metering_errors import BadAmount
from datacanal.gateway.account.asking import Allowed, allowed_by, made_by
from datacanal.gateway.account.paging import LIMIT, Cursor, Limit, page_of, slice_of
from datacanal.gateway.account.services import Services
from datacanal.gateway.callers import may_know, may_read, not_found, standing
from datacanal.ledger.asking import Asker
from datacanal.ledger.subscriptions import Filter, Subscriptions, Wanted
from datacanal.protocol.accounts import (
    Approval,
    Refusal,
    SubscriptionList,
    SubscriptionRequest,
    SubscriptionState,
    SubscriptionView,
)
from datacanal.protocol.products import PRODUCT_PATTERN
from datacanal.serving.answers import answer
from datacanal.serving.bodies import read_document
from datacanal.serving.documents import json_body, problems

_PATH = "/v1/subscriptions"
_PENDING: dict[int | str, dict[str, Any]] = {
    202: {"model": SubscriptionView, "description": "it waits for the product's publisher"}
}


def subscription_routes(services: Services, caller: Any) -> APIRouter:
    """Subscribe to products, see and end subscriptions, decide on them."""
    router = APIRouter(prefix=_PATH, tags=["subscriptions"])
    subscriptions = Subscriptions(services.store, made_by(services))
    allowed = allowed_by(services, caller)
    _add_asking(router, services, subscriptions, allowed(Action.MANAGE_SUBSCRIPTIONS))
    _add_seeing(router, subscriptions, allowed(Action.MANAGE_SUBSCRIPTIONS))
    _add_deciding(router, subscriptions, allowed)
    return router


def _add_asking(router: APIRouter, services: Services, subscriptions: Subscriptions, managing: Any) -> None:
    @router.post(
        "",
        status_code=201,
        response_model=SubscriptionView,
        responses={**_PENDING, **problems(404, 409, 410, body=True)},
        openapi_extra=json_body(SubscriptionRequest),
    )
    async def ask(request: Request, asker: Asker = managing) -> Response:
        """Subscribe to a product that the caller may know of; the first time makes the caller's account."""
        asked = await read_document(request, SubscriptionRequest)
        wanted = _wanted(services, asker, asked.product)
        made = await asyncio.to_thread(subscriptions.ask, asker, asked, wanted)
        return answer(made, 201 if made.state == "active" else 202, Location=f"{_PATH}/{made.id}")


def _add_seeing(router: APIRouter, subscriptions: Subscriptions, managing: Any) -> None:
    @router.get("", response_model=SubscriptionList, responses=problems())
    def list_subscriptions(
        product: Annotated[str | None, Query(max_length=127, pattern=PRODUCT_PATTERN)] = None,
        state: Annotated[SubscriptionState | None, Query()] = None,
        limit: Limit = LIMIT,
        cursor: Cursor = None,
        asker: Asker = managing,
    ) -> Response:
        """The caller's, and those to the products that the caller publishes."""
        given = {"product": product, "state": state}
        part = slice_of(limit, cursor, given)
        shown, more = subscriptions.list_slice(asker, Filter(product, state), part)
        return answer(SubscriptionList(subscriptions=shown, page=page_of(_PATH, part, given, shown, more)))

    @router.get("/{subscription}", response_model=SubscriptionView, responses=problems(404))
    def show(subscription: str, asker: Asker = managing) -> Response:
        """One subscription."""
        return answer(subscriptions.show(asker, subscription))

    @router.post("/{subscription}/end", response_model=SubscriptionView, responses=problems(404, 409))
    def end(subscription: str, asker: Asker = managing) -> Response:
        """End it and its keys, now; by its account or by the product's publisher."""
        return answer(subscriptions.end(asker, subscription))


def _add_deciding(router: APIRouter, subscriptions: Subscriptions, allowed: Allowed) -> None:
    deciding = allowed(Action.DECIDE_SUBSCRIPTIONS)

    @router.post(
        "/{subscription}/approve",
        response_model=SubscriptionView,
        responses=problems(404, 409, body=True),
        openapi_extra=json_body(Approval),
    )
    async def approve(request: Request, subscription: str, asker: Asker = deciding) -> Response:
        """Let it begin, with other quotas or another burst than the tariff's where they are given."""
        approval = await _read_approval(request)
        return answer(await asyncio.to_thread(subscriptions.approve, asker, subscription, approval))

    @router.post(
        "/{subscription}/refuse",
        response_model=SubscriptionView,
        responses=problems(404, 409, body=True),
        openapi_extra=json_body(Refusal),
    )
    async def refuse(request: Request, subscription: str, asker: Asker = deciding) -> Response:
        """Refuse it, with the reason."""
        refusal = await read_document(request, Refusal)
        return answer(await asyncio.to_thread(subscriptions.refuse, asker, subscription, refusal))


def _wanted(services: Services, asker: Asker, name: str) -> Wanted:
    """The product as the asker sees it. Raises `NotFound`, `ProductRetired`."""
    who = asker.principal
    product = services.views().products.get((who.tenant, name))
    if product is None or not may_know(product, who):
        raise not_found(name)
    return Wanted(
        standing(product).name,
        may_read=may_read(product, who),
        is_private=product.visibility == "private",
        is_own=owns_product(who, product.tenant, product.owner),
    )


async def _read_approval(request: Request) -> Approval:
    """What is wrong with an amount has a code of its own."""
    try:
        return await read_document(request, Approval)
    except BadField as error:
        if str(error.data["field"]).endswith((".amount", ".calls", ".window_s")):
            raise BadAmount(**error.data) from None
        raise
