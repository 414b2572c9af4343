"""Routes of jobs."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request, Response

from datacanal.control.api.guard import Guard
from datacanal.control.jobs import Submission
from datacanal.control.plane import Plane
from datacanal.control.signals import job_end_signal
from datacanal.domain.access import Action, Principal
from datacanal.domain.job import ENDED_JOBS, JobState
from datacanal.protocol.public import Explanation, JobEgress, JobList, JobLogs, JobRequest, JobView
from datacanal.serving.answers import answer
from datacanal.serving.bodies import read_document
from datacanal.serving.departure import Departure, watching
from datacanal.serving.documents import json_body, problems

MAX_WAIT_S = 60.0
_SAME_JOB: dict[int | str, dict[str, Any]] = {
    200: {"model": JobView, "description": "the job that this key made before"}
}
IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=200,
        pattern=r"^[!-~]+$",
        description="the same key with the same request gives the same job",
    ),
]


def job_routes(plane: Plane, permitted: Guard) -> APIRouter:
    """Submit, look at, cancel and retry jobs."""
    router = APIRouter(prefix="/v1/jobs", tags=["jobs"])
    _add_submitting(router, plane, permitted(Action.SUBMIT_JOBS))
    _add_reading(router, plane, permitted)
    return router


def _add_submitting(router: APIRouter, plane: Plane, submitting: Principal) -> None:
    @router.post(
        "",
        status_code=202,
        response_model=JobView,
        responses={**_SAME_JOB, **problems(409, 422, 429, body=True)},
        openapi_extra=json_body(JobRequest),
    )
    async def submit(request: Request, key: IdempotencyKey = None, caller: Principal = submitting) -> Response:
        """Check a job whole and queue it."""
        body = await read_document(request, JobRequest)
        view, is_new = await plane.jobs.submit(caller, Submission(body, key))
        return answer(view, 202 if is_new else 200, Location=f"/v1/jobs/{view.id}")

    @router.post(
        "/explain",
        response_model=Explanation,
        responses=problems(422, 503, body=True),
        openapi_extra=json_body(JobRequest),
    )
    async def explain(request: Request, caller: Principal = submitting) -> Response:
        """The plan that a job would get, with estimates; nothing runs."""
        plan = await plane.jobs.explain(caller, await read_document(request, JobRequest))
        return answer(Explanation(plan=plan, text=plane.planner.in_words(plan)))

    @router.post("/{job}/cancel", response_model=JobView, responses=problems(404))
    async def cancel(job: str, caller: Principal = submitting) -> Response:
        """Ask a job to end. It ends within seconds; an ended job stays as it is."""
        return answer(await plane.jobs.cancel(caller, job))

    @router.post(
        "/{job}/retry",
        status_code=202,
        response_model=JobView,
        responses={**_SAME_JOB, **problems(404, 409, 422, 429)},
    )
    async def retry(job: str, key: IdempotencyKey = None, caller: Principal = submitting) -> Response:
        """The same statement as a new job over the newest snapshots."""
        view, is_new = await plane.jobs.retry(caller, job, key)
        return answer(view, 202 if is_new else 200, Location=f"/v1/jobs/{view.id}")


def _add_reading(router: APIRouter, plane: Plane, permitted: Guard) -> None:
    reading = permitted(Action.READ_JOBS)
    reading_logs = permitted(Action.READ_LOGS)

    @router.get("", response_model=JobList, responses=problems())
    async def list_jobs(
        state: JobState | None = None,
        after: Annotated[str | None, Query(max_length=64, description="`next` of the page before")] = None,
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
        caller: Principal = reading,
    ) -> Response:
        """One's own jobs, the newest first; an admin sees everybody's."""
        return answer(await plane.jobs.list_jobs(caller, state, after, limit))

    @router.get("/{job}", response_model=JobView, responses=problems(404))
    async def show(
        request: Request,
        job: str,
        wait_s: Annotated[float, Query(ge=0, le=MAX_WAIT_S, description="answer when the job has ended")] = 0,
        caller: Principal = reading,
    ) -> Response:
        """A job, at once or when it has ended, at the latest after `wait_s`."""
        if wait_s == 0:
            return answer(await plane.jobs.view(caller, job))
        async with watching(request) as departure:
            return answer(await _ended(plane, caller, job, wait_s, departure))

    @router.get("/{job}/egress", response_model=JobEgress, responses=problems(404))
    async def egress(job: str, caller: Principal = reading) -> Response:
        """What sites let out or kept in for the job, with the entry of their own record that says so."""
        return answer(await plane.jobs.egress(caller, job))

    @router.get("/{job}/logs", response_model=JobLogs, responses=problems(403, 404, 503))
    async def logs(
        job: str,
        text: Annotated[bool, Query(description="with their own words, if policies let them out: a release")] = False,
        caller: Principal = reading_logs,
    ) -> Response:
        """What each attempt of each step came to, failed starts included."""
        return answer(await (plane.words if text else plane.jobs).logs(caller, job))


async def _ended(plane: Plane, caller: Principal, job: str, wait_s: float, departure: Departure) -> JobView:
    """The job as soon as it has ended, or as it is after `wait_s`."""
    until = plane.desk.clock.monotonic() + wait_s
    with plane.desk.signals.subscribe(job_end_signal(job)) as end:
        departure.on_leave = end.wake
        while True:
            view = await plane.jobs.view(caller, job)
            remaining_s = until - plane.desk.clock.monotonic()
            if departure.happened or plane.closing or view.state in ENDED_JOBS or remaining_s <= 0:
                return view
            await end.next(remaining_s)
