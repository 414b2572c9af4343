"""What a caller may have of products: whether it has access, what is left of its quotas, until when its key holds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from typing import Any

from datacanal.domain.errors import DatacanalError
from datacanal.domain.usage import Amounts, Terms
from datacanal.gateway.callers import Caller, is_known_to, terms_for
from datacanal.gateway.documents import moment
from datacanal.gateway.view import Product, View
from datacanal.ledger.balances import Balance, balances
from datacanal.ledger.entitled import HeldKey
from datacanal.ledger.store import LedgerStore


class Entitlements:
    """Over the book as it is read now."""

    def __init__(self, store: LedgerStore, now: Callable[[], datetime]) -> None:
        self._store = store
        self._now = now

    async def of_product(self, product: Product, caller: Caller) -> dict[str, Any]:
        """What the caller may have of a product that is known to it."""
        terms, refused = _terms(product, caller)
        return _said(product.name, terms, refused, await self.balances(terms), caller.key)

    async def of_all(self, view: View, caller: Caller) -> dict[str, Any]:
        """The same for every product that the caller has subscribed to."""
        named = [view.products.get((caller.principal.tenant, name)) for name in sorted(caller.subscribed)]
        known = [each for each in named if each and each.retired_at is None and is_known_to(each, caller)]
        return {"entitlements": [await self.of_product(each, caller) for each in known]}

    async def after(self, terms: Terms, amounts: Amounts) -> list[dict[str, Any]]:
        """What would be left of each quota after a call of those amounts, and whether it fits."""
        return [_after(each, amounts) for each in await self.balances(terms)]

    async def balances(self, terms: Terms | None) -> tuple[Balance, ...]:
        """Of the terms' quotas; there are none without a subscription."""
        if terms is None or not terms.quotas:
            return ()
        return await asyncio.to_thread(self._balances, terms)

    def _balances(self, terms: Terms) -> tuple[Balance, ...]:
        with self._store.reading() as connection:
            return balances(connection, terms, self._now())


def _terms(product: Product, caller: Caller) -> tuple[Terms | None, DatacanalError | None]:
    try:
        return terms_for(product, caller, "data"), None
    except DatacanalError as error:
        return caller.subscribed.get(product.name), error


def _said(
    product: str,
    terms: Terms | None,
    refused: DatacanalError | None,
    left: tuple[Balance, ...],
    key: HeldKey | None,
) -> dict[str, Any]:
    return {
        "product": product,
        "has_access": refused is None,
        "refusal": None if refused is None else {"code": refused.code, "detail": refused.detail},
        "account": terms.account if terms else None,
        "subscription": terms.subscription if terms else None,
        "tariff": terms.tariff if terms else None,
        "unit": terms.unit.value if terms else None,
        "quotas": [_balance(each) for each in left],
        "burst": asdict(terms.burst) if terms and terms.burst else None,
        "key": _key(key) if key else None,
    }


def _balance(balance: Balance) -> dict[str, Any]:
    quota = balance.quota
    return {
        "name": quota.name,
        "dimension": quota.dimension.value,
        "period": quota.period.value,
        "amount": quota.amount,
        "soft": quota.soft,
        "used": balance.used,
        "held": balance.held,
        "left": balance.left,
        "resets_at": moment(balance.resets_at),
    }


def _key(key: HeldKey) -> dict[str, Any]:
    scopes = sorted(key.scopes)
    return {"id": key.id, "mode": key.mode, "scopes": scopes, "expires_at": moment(key.expires_at)}


def _after(balance: Balance, amounts: Amounts) -> dict[str, Any]:
    amount = amounts.of(balance.quota.dimension)
    fits = balance.quota.soft or amount <= balance.left
    return {"name": balance.quota.name, "left": max(0, balance.left - amount), "fits": fits}
