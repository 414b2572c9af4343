"""Receive a request's body inside limits: so many bytes, so much time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TypeVar

from pydantic import BaseModel
from starlette.requests import ClientDisconnect, Request

from datacanal.domain.errors import BadRequest, BodyTooLarge, BodyTooSlow, MediaTypeNotSupported
from datacanal.serving.strict_json import parse_document

MAX_BODY_BYTES = 2**20
BODY_DEADLINE_S = 10.0
CHUNK_DEADLINE_S = 30.0

M = TypeVar("M", bound=BaseModel)


async def read_document(request: Request, model: type[M], max_bytes: int = MAX_BODY_BYTES) -> M:
    """The body as a document of that model, or the error that says what is wrong with it."""
    check_media_type(request)
    return parse_document(model, await read_body(request, max_bytes))


def check_media_type(request: Request) -> None:
    """Raise `MediaTypeNotSupported` unless the body is said to be JSON."""
    given = request.headers.get("content-type", "")
    if given.partition(";")[0].strip().lower() != "application/json":
        raise MediaTypeNotSupported(given=given[:100] or "none", supported="application/json")


async def read_body(request: Request, max_bytes: int = MAX_BODY_BYTES, deadline_s: float = BODY_DEADLINE_S) -> bytes:
    """The whole body. Raises `BodyTooLarge` before more than the limit is held, `BodyTooSlow` after the deadline."""
    declared = request.headers.get("content-length", "0")
    if declared.isascii() and declared.isdigit() and int(declared[:20]) > max_bytes:
        raise BodyTooLarge(limit_bytes=max_bytes)
    body = bytearray()
    try:
        async with asyncio.timeout(deadline_s):
            async for chunk in request.stream():
                body += chunk
                if len(body) > max_bytes:
                    raise BodyTooLarge(limit_bytes=max_bytes)
    except TimeoutError:
        raise BodyTooSlow(limit_s=deadline_s) from None
    except ClientDisconnect:
        raise BadRequest(reason="the connection was closed before the body was complete") from None
    return bytes(body)


async def stream_body(request: Request, chunk_deadline_s: float = CHUNK_DEADLINE_S) -> AsyncIterator[bytes]:
    """The body as it arrives, however long; a pause longer than the deadline raises `BodyTooSlow`."""
    chunks = aiter(request.stream())
    while True:
        try:
            async with asyncio.timeout(chunk_deadline_s):
                chunk = await anext(chunks)
        except StopAsyncIteration:
            return
        except TimeoutError:
            raise BodyTooSlow(limit_s=chunk_deadline_s) from None
        except ClientDisconnect:
            raise BadRequest(reason="the connection was closed before the body was complete") from None
        if chunk:
            yield chunk
