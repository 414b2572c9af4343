"""Who calls, and what of a product they may see."""

from __future__ import annotations

from datetime import datetime

from datacanal.domain.access import Principal
from datacanal.domain.errors import Forbidden, NotFound, Unauthenticated
from datacanal.domain.product_errors import NoSubscription, ProductRetired
from datacanal.gateway.view import Product, View
from datacanal.state.tokens import id_in, is_secret_of, why_ended

_CALLERS = "admin, operator, steward, analyst, publisher, developer"
_SCHEME = "bearer "


def caller_of(view: View, authorization: str | None, now: datetime) -> Principal:
    """Who the Authorization header speaks for. Raises `Unauthenticated`, and `Forbidden` for a site's token."""
    if authorization is None or authorization[: len(_SCHEME)].lower() != _SCHEME:
        raise Unauthenticated(reason="the Authorization header with a Bearer token is missing")
    secret = authorization[len(_SCHEME) :].strip()
    token = view.tokens.get(id_in(secret))
    if not is_secret_of(token.digest if token else None, secret) or token is None:
        raise Unauthenticated(reason="the token is wrong")
    if ended := why_ended(token, now):
        raise Unauthenticated(reason=ended)
    if token.principal.role == "site":
        raise Forbidden(role="site", action="call data products", allowed=_CALLERS)
    return token.principal


def product_for(view: View, caller: Principal, name: str) -> Product:
    """The product, where it exists for the caller. Raises `NotFound`, and `ProductRetired` where it did exist."""
    product = view.products.get((caller.tenant, name))
    if product is None or not may_know(product, caller):
        raise not_found(name)
    return standing(product)


def standing(product: Product) -> Product:
    """The product itself. Raises `ProductRetired`."""
    if product.retired_at is not None:
        raise ProductRetired(
            product=product.name, retired_at=product.retired_at.date().isoformat(), owner=product.owner
        )
    return product


def not_found(name: str) -> NotFound:
    """There is no such product, for this caller at least."""
    return NotFound(what="product", name=name[:200])


def may_know(product: Product, caller: Principal) -> bool:
    """Whether the product exists for the caller."""
    return product.tenant == caller.tenant and (product.visibility != "private" or may_read(product, caller))


def may_read(product: Product, caller: Principal) -> bool:
    """Whether the product's data is open to the caller."""
    if product.tenant != caller.tenant:
        return False
    if product.visibility == "internal" or caller.role == "admin" or caller.name == product.owner:
        return True
    names = {f"principal:{caller.name}", *(f"group:{group}" for group in caller.groups)}
    return not names.isdisjoint(product.readers)


def check_may_read(product: Product, caller: Principal) -> None:
    """Raise `NoSubscription` unless the product's data is open to the caller."""
    if not may_read(product, caller):
        raise NoSubscription(product=product.name, principal=caller.name, owner=product.owner)
