"""Answers that pass on what another process sends while it comes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from datacanal.control.uploads import RelayBroken


class PassedOn(Response):
    """Sends the chunks as they come; `resources` are closed after. It ends complete or by a broken connection."""

    def __init__(
        self,
        chunks: Callable[[], AsyncIterator[bytes]],
        resources: AsyncExitStack,
        *,
        media_type: str,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(None, status, headers, media_type)
        if headers is None or "Content-Length" not in headers:
            del self.headers["Content-Length"]
        self._chunks = chunks
        self._resources = resources

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        async with self._resources:
            sending = asyncio.create_task(self._send_all(send))
            leaving = asyncio.create_task(_client_left(receive))
            try:
                await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                sending.cancel()
                leaving.cancel()
                await asyncio.gather(sending, leaving, return_exceptions=True)

    async def _send_all(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        try:
            async for chunk in self._chunks():
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
        except RelayBroken:
            return  # without a last body the server closes the connection, short of what was announced
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _client_left(receive: Receive) -> None:
    """Sending to a client that left fails in silence, so somebody has to listen."""
    while (await receive())["type"] != "http.disconnect":
        pass
