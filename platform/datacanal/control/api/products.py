"""Routes of products: what they are, their versions, and what is released."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from datacanal.control.api.guard import Guard
from datacanal.control.plane import Plane
from datacanal.domain.access import Action, Principal
from datacanal.protocol.products import (
    ProductList,
    ProductRequest,
    ProductUpdate,
    ProductView,
    PromoteRequest,
    PublishRequest,
    RetireRequest,
    RollbackRequest,
    VersionDiff,
    VersionList,
    VersionView,
)
from datacanal.serving.answers import answer
from datacanal.serving.bodies import read_document
from datacanal.serving.documents import json_body, problems

MAX_WAIT_S = 60.0
_SAME_VERSION: dict[int | str, dict[str, Any]] = {
    200: {"model": VersionView, "description": "the version that was made of this job before"}
}
Number = Annotated[str, Query(max_length=32, description="a version's number")]


def product_routes(plane: Plane, permitted: Guard) -> APIRouter:
    """Make products, publish versions, release them."""
    router = APIRouter(prefix="/v1/products", tags=["products"])
    reading, managing = permitted(Action.READ_PRODUCTS), permitted(Action.MANAGE_PRODUCTS)
    _add_products(router, plane, reading, managing)
    _add_versions(router, plane, managing)
    _add_releases(router, plane, managing)
    return router


def _add_products(router: APIRouter, plane: Plane, reading: Principal, managing: Principal) -> None:
    catalogue = plane.products.catalogue

    @router.post(
        "",
        status_code=201,
        response_model=ProductView,
        responses=problems(409, 422, body=True),
        openapi_extra=json_body(ProductRequest),
    )
    async def create(request: Request, caller: Principal = managing) -> Response:
        """A product without a version yet."""
        made = await catalogue.create(caller, await read_document(request, ProductRequest))
        return answer(made, 201, Location=f"/v1/products/{made.name}")

    @router.get("", response_model=ProductList, responses=problems())
    async def list_products(caller: Principal = reading) -> Response:
        """The products that the caller may know of."""
        return answer(await catalogue.list_all(caller))

    @router.get("/{name}", response_model=ProductView, responses=problems(404))
    async def show(name: str, caller: Principal = reading) -> Response:
        """One product, with where its channels point."""
        return answer(await catalogue.show(caller, name))

    @router.patch(
        "/{name}",
        response_model=ProductView,
        responses=problems(404, 410, 422, body=True),
        openapi_extra=json_body(ProductUpdate),
    )
    async def update(request: Request, name: str, caller: Principal = managing) -> Response:
        """Change what is given."""
        return answer(await catalogue.update(caller, name, await read_document(request, ProductUpdate)))


def _add_versions(router: APIRouter, plane: Plane, managing: Principal) -> None:
    book = plane.products.versions

    @router.post(
        "/{name}/versions",
        status_code=202,
        response_model=VersionView,
        responses={**_SAME_VERSION, **problems(404, 409, 410, body=True)},
        openapi_extra=json_body(PublishRequest),
    )
    async def publish(request: Request, name: str, caller: Principal = managing) -> Response:
        """Begin a version of a succeeded job. The same job again is the same version."""
        view, is_new = await book.publish(caller, name, await read_document(request, PublishRequest))
        location = f"/v1/products/{name}/versions/{view.version}"
        return answer(view, 202 if is_new else 200, Location=location)

    @router.get("/{name}/versions", response_model=VersionList, responses=problems(404))
    async def list_versions(name: str, caller: Principal = managing) -> Response:
        """Every version, the newest first, for who manages the product."""
        return answer(await book.list_all(caller, name))

    @router.get("/{name}/versions/{version}", response_model=VersionView, responses=problems(404))
    async def show_version(
        name: str,
        version: str,
        wait_s: Annotated[float, Query(ge=0, le=MAX_WAIT_S, description="answer when it is no draft any more")] = 0,
        caller: Principal = managing,
    ) -> Response:
        """A version with its report; a draft says what it is at."""
        return answer(await book.settled(caller, name, version, wait_s))

    @router.get("/{name}/diff", response_model=VersionDiff, responses=problems(404, 409, 410, 503))
    async def diff(name: str, old: Number, new: Number, caller: Principal = managing) -> Response:
        """What differs between two versions, row by row."""
        return answer(await book.diff(caller, name, old, new))


def _add_releases(router: APIRouter, plane: Plane, managing: Principal) -> None:
    train = plane.products.train

    @router.post(
        "/{name}/promote",
        response_model=VersionView,
        responses=problems(404, 409, 410, 422, 503, body=True),
        openapi_extra=json_body(PromoteRequest),
    )
    async def promote(request: Request, name: str, caller: Principal = managing) -> Response:
        """Let a version be the canary, or stable when the last requests get the same answers from it."""
        return answer(await train.promote(caller, name, await read_document(request, PromoteRequest)))

    @router.post(
        "/{name}/rollback",
        response_model=VersionView,
        responses=problems(404, 409, 410, body=True),
        openapi_extra=json_body(RollbackRequest),
    )
    async def rollback(request: Request, name: str, caller: Principal = managing) -> Response:
        """Let readers have an earlier version again, at once."""
        return answer(await train.rollback(caller, name, await read_document(request, RollbackRequest)))

    @router.post(
        "/{name}/retire",
        response_model=ProductView,
        responses=problems(404, 409, body=True),
        openapi_extra=json_body(RetireRequest),
    )
    async def retire(request: Request, name: str, caller: Principal = managing) -> Response:
        """End a version that no channel points at, or the product."""
        return answer(await train.retire(caller, name, await read_document(request, RetireRequest)))
