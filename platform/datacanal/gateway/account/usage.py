"""Routes of usage and margins."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Response

from datacanal.domain.access import Action
from datacanal.domain.errors import BadField
from datacanal.domain.months import Month, month_named, month_of
from datacanal.gateway.account.asking import allowed_by
from datacanal.gateway.account.owning import owned_product
from datacanal.gateway.account.services import Services
from datacanal.ledger.asking import Asker
from datacanal.ledger.margins import Made
from datacanal.ledger.usage_report import GroupBy
from datacanal.ledger.usages import UsageAsked, Usages
from datacanal.protocol.money import MONTH_PATTERN, Margin, Usage
from datacanal.protocol.products import PRODUCT_PATTERN
from datacanal.serving.answers import answer
from datacanal.serving.documents import problems

InMonth = Annotated[str | None, Query(pattern=MONTH_PATTERN, description="a month such as 2026-11; else this one")]
OfProduct = Annotated[str | None, Query(max_length=127, pattern=PRODUCT_PATTERN)]
OfAccount = Annotated[str | None, Query(max_length=64)]
Grouped = Annotated[GroupBy, Query(description="what a line is of")]


def usage_routes(services: Services, caller: Any) -> APIRouter:
    """What an account used; what a product was used for, and what it earns."""
    router = APIRouter(prefix="/v1", tags=["usage"])
    usages = Usages(services.store)
    allowed = allowed_by(services, caller)
    reading, managing = allowed(Action.READ_USAGE), allowed(Action.MANAGE_PRODUCTS)

    @router.get("/usage", response_model=Usage, responses=problems(404))
    def own(
        period: InMonth = None,
        product: OfProduct = None,
        account: OfAccount = None,
        group_by: Grouped = "product",
        asker: Asker = reading,
    ) -> Response:
        """What the caller's account used in a month, and what it comes to so far."""
        return answer(usages.of_account(asker, UsageAsked(month_asked(services, period), group_by, product, account)))

    @router.get("/products/{product}/usage", response_model=Usage, responses=problems(404))
    def of_product(
        product: str, period: InMonth = None, group_by: Grouped = "day", asker: Asker = managing
    ) -> Response:
        """What all readers of a product used, for its publisher."""
        owned = owned_product(services, asker.principal, product, "read the usage")
        return answer(usages.of_product(owned.tenant, owned.name, month_asked(services, period), group_by))

    @router.get("/products/{product}/margin", response_model=Margin, responses=problems(404))
    def margin(product: str, period: InMonth = None, asker: Asker = managing) -> Response:
        """What a product earns in a month, against what the jobs that made it used."""
        owned = owned_product(services, asker.principal, product, "read the margin")
        made = Made(owned.tenant, owned.name, owned.jobs)
        return answer(usages.margin(made, month_asked(services, period), services.rates))

    return router


def month_asked(services: Services, period: str | None) -> Month:
    """The month of that name, or this one. Raises `BadField`, for one to come too: no fee of it is due."""
    this = month_of(services.now())
    asked = this if period is None else month_named(period)
    if this < asked:
        raise BadField(field="period", reason=f"{asked.name} has not begun")
    return asked
