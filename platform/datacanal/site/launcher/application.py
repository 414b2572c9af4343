"""The HTTP application that one site finds behind its socket. Whoever may open the socket is that site."""

from __future__ import annotations

from typing import Annotated

from fastapi import FastAPI, Path, Query, Response
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from datacanal.domain.errors import BadField
from datacanal.serving.bodies import read_document
from datacanal.serving.handlers import install_problem_handlers
from datacanal.site.launcher.endings import Endings
from datacanal.site.launcher.household import Household, state_of
from datacanal.site.launcher.specification import (
    MAX_WAIT_S,
    NAME_PATTERN,
    ContainerSpecification,
    ContainerState,
    ContainerStates,
    Hello,
    ImageId,
    ImageState,
    PoolNetwork,
)

MAX_BODY_BYTES = 16 * 1024
_NO_CONTENT = 204

NameInPath = Annotated[str, Path(pattern=NAME_PATTERN)]
WaitSeconds = Annotated[float, Query(alias="timeout", ge=0, le=MAX_WAIT_S)]


def create_application(household: Household, endings: Endings) -> FastAPI:
    """What the site may ask for; each request is safe to send twice."""
    app = FastAPI(title="Datacanal launcher", docs_url=None, redoc_url=None, openapi_url=None)
    install_problem_handlers(app)
    _add_image(app, household)
    _add_pools(app, household)
    _add_containers(app, household, endings)
    return app


def _add_pools(app: FastAPI, household: Household) -> None:
    @app.post("/v1/hello", status_code=_NO_CONTENT)
    async def hello(request: Request) -> None:
        told = await read_document(request, Hello, MAX_BODY_BYTES)
        await run_in_threadpool(household.hello, told.boot)

    @app.put("/v1/networks/{pool}", status_code=_NO_CONTENT)
    async def ensure_network(pool: NameInPath, request: Request) -> None:
        wanted = await read_document(request, PoolNetwork, MAX_BODY_BYTES)
        _check_same(wanted.pool, pool, field="pool")
        await run_in_threadpool(household.ensure_network, wanted)

    @app.delete("/v1/networks/{pool}", status_code=_NO_CONTENT)
    async def remove_network(pool: NameInPath) -> None:
        await run_in_threadpool(household.remove_network, pool)


def _add_image(app: FastAPI, household: Household) -> None:
    @app.get("/v1/image")
    async def image(image_id: Annotated[ImageId | None, Query(alias="id")] = None) -> ImageState:
        return await run_in_threadpool(household.image, image_id)


def _add_containers(app: FastAPI, household: Household, endings: Endings) -> None:
    @app.get("/v1/containers")
    async def states() -> ContainerStates:
        found = await run_in_threadpool(household.containers)
        return ContainerStates(containers=[state_of(container) for container in found])

    @app.put("/v1/containers/{name}")
    async def start(name: NameInPath, request: Request) -> ContainerState:
        wanted = await read_document(request, ContainerSpecification, MAX_BODY_BYTES)
        _check_same(wanted.name, name, field="name")
        return await run_in_threadpool(household.start, wanted)

    @app.get("/v1/containers/{name}/logs")
    async def logs(name: NameInPath) -> Response:
        return Response(await run_in_threadpool(household.logs, name), media_type="text/plain; charset=utf-8")

    @app.post("/v1/containers/{name}/wait")
    async def wait(name: NameInPath, timeout_s: WaitSeconds = MAX_WAIT_S) -> ContainerState:
        return await endings.wait(name, timeout_s)

    @app.delete("/v1/containers/{name}", status_code=_NO_CONTENT)
    async def remove(name: NameInPath) -> None:
        await run_in_threadpool(household.remove, name)


def _check_same(in_body: str, in_address: str, *, field: str) -> None:
    if in_body != in_address:
        raise BadField(field=field, reason=f"the address names {in_address!r}")
