"""Every failure of an application as a problem document: ours, the framework's, and what nobody foresaw."""

from __future__ import annotations

import traceback
from pathlib import Path

import structlog
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from datacanal.domain.errors import BadField, BadRequest, DatacanalError, MethodNotAllowed, NotFound
from datacanal.protocol.wrong import reason_of
from datacanal.serving.problems import problem_response

_FRAMES = 8
_log = structlog.get_logger()


def install_problem_handlers(app: FastAPI) -> None:
    """Answer every failure with a problem document."""
    app.add_exception_handler(DatacanalError, _ours)
    app.add_exception_handler(RequestValidationError, _validation)
    app.add_exception_handler(HTTPException, _framework)
    app.add_middleware(UnforeseenFailures)


async def _ours(_request: Request, error: Exception) -> Response:
    return problem_response(error if isinstance(error, DatacanalError) else DatacanalError())


async def _validation(_request: Request, error: Exception) -> Response:
    """Names the field; the framework's own handler would echo the value, and fail on NaN."""
    assert isinstance(error, RequestValidationError)  # noqa: S101  # registered for this class
    first = error.errors()[0]
    where = [str(part) for part in first["loc"] if part not in ("body", "query", "path", "header")]
    return problem_response(BadField(field=".".join(where) or "request", reason=reason_of(first)))


async def _framework(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101  # registered for this class
    match error.status_code:
        case 404:
            response = problem_response(NotFound(what="address", name=request.url.path[:200]))
        case 405:
            response = problem_response(MethodNotAllowed(method=request.method))
        case _:
            response = problem_response(BadRequest(reason=str(error.detail)))
    for name, value in (error.headers or {}).items():
        response.headers[name] = value
    return response


class UnforeseenFailures:
    """The last resort: logs what was not foreseen and answers with `internal_error` where an answer is possible."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def send_noting(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, send_noting)
        except Exception as error:
            _log.error("request_broke", method=scope["method"], route=_route(scope), **failure_fields(error))
            if started:
                raise
            await problem_response(DatacanalError())(scope, receive, send)


def failure_fields(error: BaseException) -> dict[str, object]:
    """What may be logged of a failure that nobody foresaw: its type and where, for its words may quote values."""
    frames = traceback.extract_tb(error.__traceback__)[-_FRAMES:]
    where = [f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in frames]
    return {"error": type(error).__name__, "where": where}


def _route(scope: Scope) -> str:
    route = scope.get("route")
    return str(getattr(route, "path", "unknown"))
