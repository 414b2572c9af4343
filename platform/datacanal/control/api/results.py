"""Fetching a result: relayed from its site, never stored here, and taken up again after a break."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Header, Query
from starlette.responses import Response

from datacanal.control.api.guard import Guard
from datacanal.control.api.streams import PassedOn
from datacanal.control.jobs import ResultPlace
from datacanal.control.plane import Plane
from datacanal.control.uploads import Head
from datacanal.domain.access import Action, Principal
from datacanal.domain.errors import NotAcceptable, RangeNotSatisfiable, SiteUnreachable
from datacanal.protocol.public import ResultFormat
from datacanal.serving.documents import problems

MEDIA_TYPES: Mapping[str, str] = {
    "arrow": "application/vnd.apache.arrow.stream",
    "parquet": "application/vnd.apache.parquet",
    "csv": "text/csv; charset=utf-8",
    "json": "application/json",
}
_RANGE = r"^(bytes=[0-9]{1,18}-)?$"


@dataclass(frozen=True)
class Wanted:
    """From which byte on; `if_range` is the entity tag that the earlier bytes had, empty where none was named."""

    offset: int
    if_range: str


def result_routes(plane: Plane, permitted: Guard) -> APIRouter:
    """The result of a job."""
    router = APIRouter(prefix="/v1/jobs", tags=["jobs"])
    fetching = permitted(Action.READ_RESULTS)
    binary = {
        kind.partition(";")[0]: {"schema": {"type": "string", "format": "binary"}} for kind in MEDIA_TYPES.values()
    }
    documented = {
        200: {"content": binary, "description": "the whole result; ETag holds its sha256"},
        206: {"content": binary, "description": "the result from the byte asked for on"},
        **problems(404, 406, 409, 410, 416, 422, 503),
    }

    @router.get("/{job}/result", response_class=Response, responses=documented)
    async def result(
        job: str,
        result_format: Annotated[ResultFormat, Query(alias="format")] = "arrow",
        byte_range: Annotated[str, Header(alias="Range", pattern=_RANGE, description="bytes=N-")] = "",
        if_range: Annotated[str, Header(alias="If-Range", description="the ETag of the earlier bytes")] = "",
        accept: Annotated[str, Header(alias="Accept", include_in_schema=False)] = "*/*",
        caller: Principal = fetching,
    ) -> Response:
        """The result in a format, as often as wanted until it expires. A break is visible; `Range` goes on from it."""
        wanted = Wanted(int(byte_range.removeprefix("bytes=").removesuffix("-") or 0), if_range)
        _check_accept(accept, MEDIA_TYPES[result_format])
        place = await plane.jobs.result(caller, job)
        absence = plane.coordinator.absence(caller.tenant, place.site)
        if absence is not None:
            raise SiteUnreachable(site=place.site, reason=absence)
        return await _relayed(plane, place, result_format, wanted)

    return router


def _check_accept(accept: str, produced: str) -> None:
    media_type = produced.partition(";")[0]
    family = media_type.partition("/")[0]
    accepted = {item.partition(";")[0].strip().lower() for item in accept.split(",")}
    if not accepted & {media_type, f"{family}/*", "*/*", ""}:
        raise NotAcceptable(produced=media_type)


async def _relayed(plane: Plane, place: ResultPlace, result_format: str, wanted: Wanted) -> Response:
    """Begin the relay. The result that changed since the earlier bytes is sent whole."""
    async with AsyncExitStack() as stack:
        upload = await stack.enter_async_context(
            plane.relay.requested(place, result_format, wanted.offset, plane.issuer.signed(place.authority))
        )
        head = await upload.head()
        tag = f'"{head.digest}"'
        if wanted.offset and wanted.if_range not in ("", tag):
            return await _relayed(plane, place, result_format, Wanted(0, ""))
        if wanted.offset and wanted.offset >= head.length:
            raise RangeNotSatisfiable(range=f"bytes={wanted.offset}-", length_bytes=head.length)
        return PassedOn(
            upload.chunks,
            stack.pop_all(),
            media_type=MEDIA_TYPES[result_format],
            status=206 if wanted.offset else 200,
            headers=_headers(head, wanted.offset),
        )
    raise AssertionError("unreachable")


def _headers(head: Head, offset: int) -> dict[str, str]:
    headers = {
        "Content-Length": str(head.length - offset),
        "ETag": f'"{head.digest}"',
        "Accept-Ranges": "bytes",
        "Cache-Control": "private, no-store",
    }
    return {**headers, "Content-Range": f"bytes {offset}-{head.length - 1}/{head.length}"} if offset else headers
