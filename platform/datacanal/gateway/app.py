"""The gateway as an ASGI application: addresses, methods, tokens, and every failure as a problem document."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog
from starlette.types import ASGIApp, Receive, Scope, Send

from datacanal.domain.errors import AddressTooLong, DatacanalError, MethodNotAllowed, NotFound, Unauthenticated
from datacanal.domain.metering_errors import KeyWrong, ScopeMissing, SubscriptionNotActive
from datacanal.domain.product_errors import NoSubscription, NoVersion
from datacanal.gateway import documents
from datacanal.gateway.callers import Caller, Callers, product_for, standing, terms_for
from datacanal.gateway.calls import Call, problem_answer
from datacanal.gateway.catalogue import catalogue_page
from datacanal.gateway.choosing import CHOICES, choose
from datacanal.gateway.conditions import conditions
from datacanal.gateway.data import DataRoute
from datacanal.gateway.entitlements import Entitlements
from datacanal.gateway.estimating import Estimates
from datacanal.gateway.leaving import ClientLeft, unless_left
from datacanal.gateway.offers import Offers
from datacanal.gateway.openapi import general_document, product_document
from datacanal.gateway.parameters import read_pairs, single
from datacanal.gateway.spilling import check_no_token
from datacanal.gateway.telling import told
from datacanal.gateway.view import Product, View
from datacanal.serving.handlers import failure_fields

MOST_ADDRESS_BYTES = 32 * 1024
_READING = ("GET", "HEAD")
_STALE_S = 5.0
_log = structlog.get_logger()

Known = tuple[int, int]
"""The numbers of the view and of the directory."""
_NOT_READ_YET = (Unauthenticated, KeyWrong, NotFound, NoSubscription, NoVersion, ScopeMissing, SubscriptionNotActive)


@dataclass(frozen=True)
class Gateway:
    """`views` gives the newest view, `looked_at` when the store was last looked at (monotonic).

    `known` grows with what is known of products, tokens and keys; `catch_up` reads what was written until now.
    `not_sealed` says why the ledger is not sealed, where it is not.
    `name` makes ids.
    """

    views: Callable[[], View]
    known: Callable[[], Known]
    catch_up: Callable[[Known], Awaitable[bool]]
    looked_at: Callable[[], float]
    callers: Callers
    data: DataRoute
    estimates: Estimates
    entitlements: Entitlements
    offers: Offers
    now: Callable[[], datetime]
    name: Callable[[str], str]
    account: ASGIApp
    not_sealed: Callable[[], str | None]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        call = Call(scope, receive, send, self.name("req"))
        try:
            await self._routed(call)
        except DatacanalError as error:
            await call.answer(problem_answer(error))
        except ClientLeft:
            return
        except Exception as error:
            _log.error("request_broke", request=call.id, method=call.method, **failure_fields(error))
            if not call.has_started:  # otherwise the connection breaks, as this returns without an end
                await call.answer(problem_answer(DatacanalError()))

    async def _routed(self, call: Call) -> None:
        """Nobody is refused for what is there and was only not read yet."""
        known = self.known()
        try:
            await self._route(call)
        except _NOT_READ_YET:
            if call.has_started or not await self.catch_up(known):
                raise
            await self._route(call)

    async def _route(self, call: Call) -> None:
        if len(call.scope["raw_path"]) + len(call.query) > MOST_ADDRESS_BYTES:
            raise AddressTooLong(limit_bytes=MOST_ADDRESS_BYTES)
        check_no_token(call.path.encode("utf-8", "replace") + b"?" + call.query)
        match call.path.split("/"):
            case ["", "v1", "products", name, what] if answer := _OF_PRODUCT.get(what):
                await answer(self, call, name)
            case ["", "v1", "products", name]:
                await self._about(call, name, "")
            case ["", "v1", "products", name, what] if what in _ABOUT:
                await self._about(call, name, what)
            case ["", "v1", "products"]:
                await self._catalogue(call)
            case ["", "v1", "entitlements"]:
                await self._all_entitlements(call)
            case ["", "openapi.json"]:
                await self._open(call, general_document())
            case ["", "health"]:
                await self._open(call, self._health(), fresh=True)
            case _:
                await self.account(call.scope, call.receive, call.send_noting)

    async def answer_data(self, call: Call, name: str) -> None:
        """`…/data`."""
        _allow(call, _READING)
        product, caller = self._known(call, name)
        await self.data.data(call, product, caller, terms_for(product, caller, "data"))

    async def answer_sample(self, call: Call, name: str) -> None:
        """`…/sample`."""
        _allow(call, _READING)
        single(read_pairs(call.query), ())
        view, given = self.views(), call.header(b"authorization")
        if given is None:
            await self.data.sample(call, _open_sample(view, name), None)
            return
        product, caller = self._known(call, name)
        if not product.sample.open:
            terms_for(product, caller, "sample")
        await self.data.sample(call, product, caller)

    async def answer_estimate(self, call: Call, name: str) -> None:
        """`…/estimate`."""
        _allow(call, ("POST",))
        product, caller = self._known(call, name)
        terms = terms_for(product, caller, "data")
        single(read_pairs(call.query), ())
        body = await self.estimates.read(call)
        said = await unless_left(call.receive, self.estimates.estimate(body, product, caller, terms))
        await call.answer(told(call, said))

    async def _about(self, call: Call, name: str, what: str) -> None:
        _allow(call, _READING)
        product, caller = self._known(call, name)
        known, about = _ABOUT[what]
        given = single(read_pairs(call.query), known)
        # A calendar is loaded at its first use, which takes a second.
        content = await asyncio.to_thread(about, product, caller, given, self.now())
        if not what:
            await self.catch_up(self.known())  # a tariff that was added a moment ago is shown
            content = self.offers.with_tariffs(product.tenant, content)
        await call.answer(told(call, content))

    async def _catalogue(self, call: Call) -> None:
        _allow(call, _READING)
        view, caller = self._caller(call)
        given = single(read_pairs(call.query), ("q", "limit", "cursor"))
        page = catalogue_page(view, caller, given)
        await self.catch_up(self.known())
        await call.answer(told(call, self.offers.with_prices(caller.principal.tenant, page)))

    async def _open(self, call: Call, content: Any, *, fresh: bool = False) -> None:
        _allow(call, _READING)
        single(read_pairs(call.query), ())
        await call.answer(told(call, content, fresh=fresh))

    async def answer_entitlements(self, call: Call, name: str) -> None:
        """`…/entitlements`."""
        _allow(call, _READING)
        product, caller = self._known(call, name)
        single(read_pairs(call.query), ())
        await call.answer(told(call, await self.entitlements.of_product(product, caller), fresh=True))

    async def _all_entitlements(self, call: Call) -> None:
        _allow(call, _READING)
        view, caller = self._caller(call)
        single(read_pairs(call.query), ())
        await call.answer(told(call, await self.entitlements.of_all(view, caller), fresh=True))

    def _known(self, call: Call, name: str) -> tuple[Product, Caller]:
        view, caller = self._caller(call)
        return product_for(view, caller, name), caller

    def _caller(self, call: Call) -> tuple[View, Caller]:
        view = self.views()
        return view, self.callers.caller(view, call.header(b"authorization"), self.now())

    def _health(self) -> dict[str, Any]:
        """Whether the store can be read and the ledger sealed; an old view is still answered from."""
        age_s, is_sealed = time.monotonic() - self.looked_at(), self.not_sealed() is None
        status = "stale" if age_s >= _STALE_S else "ok" if is_sealed else "not_sealed"
        return {"status": status, "revision": self.views().number, "ledger": "sealed" if is_sealed else "not_sealed"}


_OF_PRODUCT: dict[str, Callable[[Gateway, Call, str], Awaitable[None]]] = {
    "data": Gateway.answer_data,
    "sample": Gateway.answer_sample,
    "estimate": Gateway.answer_estimate,
    "entitlements": Gateway.answer_entitlements,
}
_About = Callable[[Product, Caller, dict[str, str], datetime], Any]
_ABOUT: dict[str, tuple[tuple[str, ...], _About]] = {
    "": ((), lambda product, caller, _given, _now: documents.whole(product, caller)),
    "schema": (
        CHOICES,
        lambda product, caller, given, now: documents.schema(product, choose(product, given, caller.principal, now)),
    ),
    "openapi.json": (
        CHOICES,
        lambda product, caller, given, now: product_document(product, choose(product, given, caller.principal, now)),
    ),
    "versions": ((), lambda product, _caller, _given, _now: documents.versions(product)),
    "condition": (
        (*CHOICES, "from", "to"),
        lambda product, caller, given, now: conditions(product, caller.principal, given, now),
    ),
}
"""What is said about a product: the parameters that are known, and the document."""


def _allow(call: Call, methods: tuple[str, ...]) -> None:
    if call.method not in methods:
        raise MethodNotAllowed(method=call.method[:20], allowed=", ".join(methods))


def _open_sample(view: View, name: str) -> Product:
    """The product whose sample needs no token; of several tenants', the oldest. Raises `Unauthenticated`."""
    named = (each for each in view.products.values() if each.name == name)
    shown = [each for each in named if each.sample.open and each.visibility != "private"]
    if not shown:
        raise Unauthenticated(reason="the Authorization header with a Bearer token is missing")
    return standing(min(shown, key=lambda each: each.created_at))
