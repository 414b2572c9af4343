"""A job's events as a stream (server-sent events) that can be taken up again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Header
from starlette.responses import StreamingResponse

from datacanal.control.api.guard import Guard
from datacanal.control.plane import Plane
from datacanal.control.signals import job_signal
from datacanal.domain.access import Action, Principal
from datacanal.protocol.public import Event
from datacanal.serving.documents import problems

KEEP_ALIVE_S = 15.0
_EVENT_STREAM = "text/event-stream"


def event_routes(plane: Plane, permitted: Guard) -> APIRouter:
    """The event stream."""
    router = APIRouter(prefix="/v1/jobs", tags=["jobs"])
    reading = permitted(Action.READ_JOBS)
    documented = {
        200: {"content": {_EVENT_STREAM: {"schema": {"type": "string"}}}, "description": "events, up to the job's end"},
        **problems(404),
    }

    @router.get("/{job}/events", response_class=StreamingResponse, responses=documented)
    async def events(
        job: str,
        last: Annotated[int, Header(alias="Last-Event-ID", ge=0, le=2**53)] = 0,
        caller: Principal = reading,
    ) -> StreamingResponse:
        """Everything that happened after Last-Event-ID, then what happens, up to the job's end."""
        await plane.jobs.view(caller, job)
        return StreamingResponse(_lines(plane, caller, job, last), media_type=_EVENT_STREAM, headers=_NOT_STORED)

    return router


_NOT_STORED = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


async def _lines(plane: Plane, caller: Principal, job: str, after: int) -> AsyncIterator[str]:
    with plane.desk.signals.subscribe(job_signal(job)) as changes:
        while not plane.closing:
            events, is_end = await plane.jobs.events(caller, job, after)
            for event in events:
                after = event.seq
                yield _line(event)
            if is_end:
                return
            if not events and not await changes.next(KEEP_ALIVE_S):
                yield ": keep-alive\n\n"


def _line(event: Event) -> str:
    return f"id: {event.seq}\nevent: {event.event}\ndata: {event.model_dump_json()}\n\n"
