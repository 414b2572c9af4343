"""Routes of schedules."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from datacanal.control.api.guard import Guard
from datacanal.control.plane import Plane
from datacanal.domain.access import Action, Principal
from datacanal.protocol.products import ScheduleList, ScheduleRequest, ScheduleRun, ScheduleRunList, ScheduleView
from datacanal.serving.answers import answer, nothing
from datacanal.serving.bodies import read_document
from datacanal.serving.documents import json_body, problems


def schedule_routes(plane: Plane, permitted: Guard) -> APIRouter:
    """Create, look at, pause, resume, run and remove schedules."""
    router = APIRouter(prefix="/v1/schedules", tags=["schedules"])
    managing = permitted(Action.MANAGE_SCHEDULES)
    _add_documents(router, plane, managing)
    _add_acts(router, plane, managing)
    return router


def _add_documents(router: APIRouter, plane: Plane, managing: Principal) -> None:
    @router.post(
        "",
        status_code=201,
        response_model=ScheduleView,
        responses=problems(404, 409, 410, 422, 503, body=True),
        openapi_extra=json_body(ScheduleRequest),
    )
    async def create(request: Request, caller: Principal = managing) -> Response:
        """Check a schedule whole, its job's plan included, and store it."""
        made = await plane.schedules.book.create(caller, await read_document(request, ScheduleRequest))
        return answer(made, 201, Location=f"/v1/schedules/{made.name}")

    @router.get("", response_model=ScheduleList, responses=problems())
    async def list_schedules(caller: Principal = managing) -> Response:
        """One's own schedules by name; an admin sees everybody's."""
        return answer(await plane.schedules.book.list_schedules(caller))

    @router.get("/{schedule}", response_model=ScheduleView, responses=problems(404))
    async def show(schedule: str, caller: Principal = managing) -> Response:
        """A schedule with its newest runs."""
        return answer(await plane.schedules.book.view(caller, schedule))

    @router.delete("/{schedule}", status_code=204, response_class=Response, responses=problems(404))
    async def remove(schedule: str, caller: Principal = managing) -> Response:
        """Forget a schedule and its runs; a job of it that runs goes on."""
        await plane.schedules.book.remove(caller, schedule)
        return nothing()


def _add_acts(router: APIRouter, plane: Plane, managing: Principal) -> None:
    @router.get("/{schedule}/runs", response_model=ScheduleRunList, responses=problems(404))
    async def runs(
        schedule: str, limit: Annotated[int, Query(ge=1, le=1000)] = 100, caller: Principal = managing
    ) -> Response:
        """The newest runs, newest first; a thousand are kept."""
        return answer(await plane.schedules.book.runs(caller, schedule, limit))

    @router.post("/{schedule}/pause", response_model=ScheduleView, responses=problems(404))
    async def pause(schedule: str, caller: Principal = managing) -> Response:
        """Nothing comes due until it is resumed; what runs goes on."""
        return answer(await plane.schedules.book.pause(caller, schedule))

    @router.post("/{schedule}/resume", response_model=ScheduleView, responses=problems(404))
    async def resume(schedule: str, caller: Principal = managing) -> Response:
        """Times come due again; those of the pause are not made up for."""
        return answer(await plane.schedules.book.resume(caller, schedule))

    @router.post("/{schedule}/run", status_code=202, response_model=ScheduleRun, responses=problems(404))
    async def run(schedule: str, caller: Principal = managing) -> Response:
        """Due now, whatever the cron says; while another run goes on it waits."""
        return answer(await plane.schedules.book.run_now(caller, schedule), 202)
