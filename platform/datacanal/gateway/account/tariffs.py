"""Routes of a product's tariffs."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import APIRouter, Request, Response

from datacanal.domain.access import Action, owns_product
from datacanal.domain.errors import BadField
from datacanal.domain.metering_errors import BadTariff
from datacanal.gateway.account.asking import allowed_by
from datacanal.gateway.account.owning import known_product, owned_product
from datacanal.gateway.account.services import Services
from datacanal.gateway.callers import standing
from datacanal.ledger.asking import Asker
from datacanal.ledger.tariffs import add_tariff, tariffs_of, withdraw_tariff
from datacanal.protocol.money import Tariff, TariffList, TariffView
from datacanal.serving.answers import answer
from datacanal.serving.bodies import read_document
from datacanal.serving.documents import json_body, problems

_ACTION = "manage the tariffs"


def tariff_routes(services: Services, caller: Any) -> APIRouter:
    """Offer, list and withdraw tariffs."""
    router = APIRouter(prefix="/v1/products/{product}/tariffs", tags=["tariffs"])
    allowed = allowed_by(services, caller)
    reading, managing = allowed(Action.READ_PRODUCTS), allowed(Action.MANAGE_PRODUCTS)

    @router.post(
        "",
        status_code=201,
        response_model=TariffView,
        responses=problems(404, 410, body=True),
        openapi_extra=json_body(Tariff),
    )
    async def add(product: str, request: Request, asker: Asker = managing) -> Response:
        """Offer a tariff; it never changes."""
        owned = standing(owned_product(services, asker.principal, product, _ACTION))
        tariff = await _read(request)
        view = TariffView(
            id=services.new_id("tar"), product=owned.name, seller=owned.owner, tariff=tariff,
            created_at=services.now(), withdrawn_at=None,
        )  # fmt: skip
        made = await asyncio.to_thread(_add, services, owned.tenant, view)
        return answer(made, 201)

    @router.get("", response_model=TariffList, responses=problems(404))
    def list_tariffs(product: str, asker: Asker = reading) -> Response:
        """Those that can be subscribed to; to the product's publisher also the others."""
        known = known_product(services, asker.principal, product)
        every = owns_product(asker.principal, known.tenant, known.owner)
        with services.store.reading_rows() as session:
            return answer(TariffList(tariffs=tariffs_of(session, known.tenant, known.name, every=every)))

    @router.delete("/{tariff}", response_model=TariffView, responses=problems(404))
    def withdraw(product: str, tariff: str, asker: Asker = managing) -> Response:
        """No new subscriptions to it, by its id or its name; those that there are keep it."""
        owned = owned_product(services, asker.principal, product, _ACTION)
        with services.store.changing() as session:
            return answer(withdraw_tariff(session, owned.tenant, owned.name, tariff, services.now()))

    return router


def _add(services: Services, tenant: str, view: TariffView) -> TariffView:
    with services.store.changing() as session:
        return add_tariff(session, tenant, view)


async def _read(request: Request) -> Tariff:
    try:
        return await read_document(request, Tariff)
    except BadField as error:
        raise BadTariff(**error.data) from None
