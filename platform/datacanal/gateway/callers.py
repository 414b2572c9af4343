"""Who calls, what of a product they may see, and what their calls are held to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from datacanal.domain.access import Principal
from datacanal.domain.errors import Forbidden, NotFound, Unauthenticated
from datacanal.domain.metering_errors import ScopeMissing, SubscriptionNotActive, TestKeyRefused
from datacanal.domain.product_errors import NoSubscription, ProductRetired
from datacanal.domain.usage import Terms, internal_terms
from datacanal.gateway.bearers import Bearers, is_key
from datacanal.gateway.cache import Cache
from datacanal.gateway.view import Product, Token, View
from datacanal.ledger.directory import Directory
from datacanal.ledger.entitled import HeldKey
from datacanal.state import tokens

_CALLERS = "admin, operator, steward, analyst, publisher, developer"
_SCHEME = "bearer "
_REMEMBERED_BYTES = 8 * 2**20
_ENTRY_BYTES = 1024


@dataclass(frozen=True, slots=True)
class Caller:
    """A principal, by a token, or by the `key` of a subscription. `subscribed` is what it may call by, by product."""

    principal: Principal
    subscribed: Mapping[str, Terms] = field(default_factory=dict)
    key: HeldKey | None = None


@dataclass(frozen=True, slots=True)
class _Met:
    """A caller that was let in, by what was known then; `until` is when its key or token expires."""

    caller: Caller
    view: int
    directory: int
    until: datetime | None


class Callers:
    """Knows callers by what the Authorization header says. Belongs to one event loop."""

    def __init__(self, directory: Directory, bearers: Bearers) -> None:
        self._directory = directory
        self._bearers = bearers
        self._met: Cache[_Met] = Cache(_REMEMBERED_BYTES)

    def caller(self, view: View, authorization: str | None, now: datetime) -> Caller:
        """Who calls. Raises what `caller_of` and `Bearers.bearer_of` raise.

        Who was let in is not asked again while nothing that is known has changed: thousands of calls a second are
        by the same key.
        """
        directory = self._directory.number  # before it is asked: what it says then may be newer, never older
        met = self._met.get(authorization)
        if (
            met is not None
            and met.directory == directory
            and met.view == view.number
            and (met.until is None or now < met.until)
        ):
            return met.caller
        return self._meet(view, directory, authorization, now)

    def _meet(self, view: View, directory: int, authorization: str | None, now: datetime) -> Caller:
        text, until = bearer_in(authorization), None
        if is_key(text):
            key = self._bearers.key(text, now)
            caller, until = holder_of(key), key.expires_at
        elif bearer := self._bearers.bearer_of(text, now):
            return holder_of(bearer.key) if bearer.key else self._somebody(bearer.principal)
        else:
            token = token_of(view, text, now)
            caller, until = self._somebody(token.principal), token.expires_at
        met = _Met(caller, view.number, directory, until)
        self._met.put(authorization, met, _ENTRY_BYTES + len(authorization or ""))
        return caller

    def _somebody(self, principal: Principal) -> Caller:
        return Caller(principal, self._directory.subscribed(principal.tenant, principal.name))


def holder_of(key: HeldKey) -> Caller:
    """Who calls with a key: the principal of its account, for its subscription's product alone."""
    subscribed = {key.terms.product: key.terms} if key.state == "active" else {}
    return Caller(Principal(key.terms.tenant, key.owner, "developer", ()), subscribed, key)


def caller_of(view: View, authorization: str | None, now: datetime) -> Principal:
    """Whose token this is. Raises `Unauthenticated`, and `Forbidden` for a site's token."""
    return token_of(view, bearer_in(authorization), now).principal


def token_of(view: View, secret: str, now: datetime) -> Token:
    """The token that has this secret. Raises as `caller_of` does."""
    token = view.tokens.get(tokens.id_in(secret))
    if not tokens.is_secret_of(token.digest if token else None, secret) or token is None:
        raise Unauthenticated(reason="the token is wrong")
    if ended := tokens.why_ended(token, now):
        raise Unauthenticated(reason=ended)
    if token.principal.role == "site":
        raise Forbidden(role="site", action="call data products", allowed=_CALLERS)
    return token


def bearer_in(authorization: str | None) -> str:
    """What the Authorization header holds. Raises `Unauthenticated` where it is absent."""
    if authorization is None or authorization[: len(_SCHEME)].lower() != _SCHEME:
        raise Unauthenticated(reason="the Authorization header with a Bearer token is missing")
    return authorization[len(_SCHEME) :].strip()


def product_for(view: View, caller: Caller, name: str) -> Product:
    """The product, where it exists for the caller. Raises `NotFound`, and `ProductRetired` where it did exist."""
    product = view.products.get((caller.principal.tenant, name))
    if product is None or not is_known_to(product, caller):
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


def may_know(product: Product, principal: Principal) -> bool:
    """Whether the product exists for the principal, subscriptions aside."""
    return product.tenant == principal.tenant and (product.visibility != "private" or may_read(product, principal))


def may_read(product: Product, principal: Principal) -> bool:
    """Whether the product's data is open to the principal without a subscription."""
    if product.tenant != principal.tenant:
        return False
    if product.visibility == "internal" or principal.role == "admin" or principal.name == product.owner:
        return True
    names = {f"principal:{principal.name}", *(f"group:{group}" for group in principal.groups)}
    return not names.isdisjoint(product.readers)


def is_known_to(product: Product, caller: Caller) -> bool:
    """Whether the product exists for the caller. For a key, a private one is its own or there is none."""
    if product.tenant != caller.principal.tenant:
        return False
    if product.visibility != "private" or product.name in caller.subscribed:
        return True
    return product.name == caller.key.terms.product if caller.key else may_read(product, caller.principal)


def is_open_to(product: Product, caller: Caller) -> bool:
    """Whether the caller can have the product's data."""
    if product.tenant != caller.principal.tenant:
        return False
    return product.name in caller.subscribed or (caller.key is None and may_read(product, caller.principal))


def terms_for(product: Product, caller: Caller, scope: str) -> Terms:
    """What the caller's call of a product that is known to it is counted on and held to.

    Raises `NoSubscription`, `SubscriptionNotActive`, `ScopeMissing` and `TestKeyRefused`.
    """
    if is_open_to(product, caller):
        _check_scope(caller.key, scope)
        principal = caller.principal
        terms = caller.subscribed.get(product.name)
        return terms or internal_terms(principal.tenant, principal.name, product.name)
    if caller.key is not None and caller.key.terms.product == product.name:
        raise SubscriptionNotActive(
            subscription=caller.key.terms.subscription, product=product.name, state=caller.key.state
        )
    raise NoSubscription(product=product.name, principal=caller.principal.name, owner=product.owner)


def _check_scope(key: HeldKey | None, scope: str) -> None:
    if key is None:
        return
    if key.mode == "test" and scope != "sample":
        raise TestKeyRefused(key=key.id)
    if scope not in key.scopes:
        raise ScopeMissing(key=key.id, scope=scope)
