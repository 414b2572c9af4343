"""The product that a route is about, for whoever may know of it or owns it."""

from __future__ import annotations

from datacanal.domain.access import Principal, owns_product
from datacanal.domain.errors import Forbidden
from datacanal.gateway.account.services import Services
from datacanal.gateway.callers import may_know, not_found
from datacanal.gateway.view import Product


def known_product(services: Services, caller: Principal, name: str) -> Product:
    """The product, retired or not. Raises `NotFound` where it does not exist for the caller."""
    product = services.views().products.get((caller.tenant, name))
    if product is None or not may_know(product, caller):
        raise not_found(name)
    return product


def owned_product(services: Services, caller: Principal, name: str, action: str) -> Product:
    """The product that is the caller's. Raises `NotFound`, and `Forbidden` where the caller may know of it."""
    product = known_product(services, caller, name)
    if not owns_product(caller, product.tenant, product.owner):
        raise Forbidden(role=caller.role, action=f"{action} of {product.name}", allowed=f"{product.owner}, admin")
    return product
