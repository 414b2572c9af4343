"""What the book is told of whoever calls an account route, and the book's services as they are made once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import Depends

from datacanal.domain.access import Action, check_permitted
from datacanal.gateway.account.guard import Caller
from datacanal.gateway.account.services import Services
from datacanal.ledger.asking import Asker, Made

Allowed = Callable[[Action], Any]


def allowed_by(services: Services, caller: Any) -> Allowed:
    """Makes the dependency that yields an asker whose role may do this."""

    def allowed(action: Action) -> Any:
        def asker(who: Caller = caller) -> Asker:
            check_permitted(who, action)
            return _asker(services, who)

        return Depends(asker)

    return allowed


def made_by(services: Services) -> Made:
    """Where time and ids come from."""
    return Made(services.now, services.new_id)


def _asker(services: Services, who: Caller) -> Asker:
    """A key sees its account alone, whatever its owner publishes."""
    if who.key is not None:
        return Asker(who)
    products = services.views().products.values()
    return Asker(who, frozenset(each.name for each in products if (each.tenant, each.owner) == (who.tenant, who.name)))
