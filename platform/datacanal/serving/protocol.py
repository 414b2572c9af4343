"""HTTP/1.1 with deadlines that uvicorn lacks: a request's head must arrive in time, and problems are documents.

Where the client proved itself by a certificate, its fingerprint stands in the scope of each of its requests.
"""

from __future__ import annotations

import asyncio
import random
import ssl
from functools import cache
from typing import Any

from starlette.types import Scope
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.server import ServerState

from datacanal.certificates import fingerprint_in
from datacanal.domain.errors import BadRequest, BodyTooSlow, DatacanalError, HeadTooLong
from datacanal.protocol.problem import problem_of
from datacanal.serving.problems import PROBLEM_TYPE, status_of

HEAD_DEADLINE_S = 10.0
_SPREAD = 0.5
"""So much of the deadline may be added to it: what came together is not cut off together, and nobody waits for it."""
REST_DEADLINE_S = 10.0
MAX_HEAD_BYTES = 64 * 1024
_PEER = "datacanal.peer"
_chance = random.Random()  # noqa: S311  # nothing is kept secret by it


def peer_of(scope: Scope) -> str | None:
    """The fingerprint of the certificate that the caller of this request holds; None where it showed none."""
    found: str | None = scope.get(_PEER)
    return found


class DeadlineProtocol(HttpToolsProtocol):
    """Closes a connection whose request head is not whole in time or is too long; a slow head gets 408.

    What still arrives of a body after its answer was given (a refusal, mostly) is read and thrown away, but not for
    ever. Closing at once would reset the connection before the client could read the answer.
    """

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._head_deadline: asyncio.TimerHandle | None = None
        self._head_bytes = 0
        self._rest_deadline: asyncio.TimerHandle | None = None
        self._peer: str | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as the base class does
        super().connection_made(transport)
        self._peer = _peer_on(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_arrived()
        self._rest_arrived()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._head_deadline is not None:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES + len(data):
                self._refuse(HeadTooLong(limit_bytes=MAX_HEAD_BYTES))
                return
        super().data_received(data)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope[_PEER] = self._peer  # type: ignore[literal-required]  # a key of ours beside those of ASGI
        if self._head_deadline is None:
            self._await_head()

    def on_headers_complete(self) -> None:
        self._head_arrived()
        super().on_headers_complete()

    def on_response_complete(self) -> None:
        if self.cycle is not None and self.cycle.more_body and not self.transport.is_closing():
            self._rest_deadline = self.loop.call_later(_spread(REST_DEADLINE_S), self.transport.close)
        super().on_response_complete()

    def on_message_complete(self) -> None:
        self._rest_arrived()
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        self._refuse(BadRequest(reason=msg))

    def _await_head(self) -> None:
        self._head_bytes = 0
        self._head_deadline = self.loop.call_later(_spread(HEAD_DEADLINE_S), self._head_late)

    def _head_arrived(self) -> None:
        if self._head_deadline is not None:
            self._head_deadline.cancel()
            self._head_deadline = None

    def _rest_arrived(self) -> None:
        if self._rest_deadline is not None:
            self._rest_deadline.cancel()
            self._rest_deadline = None

    def _head_late(self) -> None:
        self._head_deadline = None
        if self._head_bytes == 0:
            self.transport.close()
        elif not self.transport.is_closing():
            self._end_with(_late(HEAD_DEADLINE_S))

    def _refuse(self, error: DatacanalError) -> None:
        self._end_with(_refusal(error))

    def _end_with(self, answer: bytes) -> None:
        self.transport.write(answer)
        self.transport.close()


def _spread(deadline_s: float) -> float:
    return deadline_s * (1 + _SPREAD * _chance.random())


@cache
def _late(limit_s: float) -> bytes:
    """Made once: many are told so at the same time."""
    return _refusal(BodyTooSlow(limit_s=limit_s))


def _refusal(error: DatacanalError) -> bytes:
    status = status_of(error)
    body = problem_of(error, status).model_dump_json().encode()
    head = f"content-type: {PROBLEM_TYPE}\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
    return STATUS_LINE[status] + head.encode() + body


def _peer_on(transport: asyncio.Transport) -> str | None:
    secured: ssl.SSLObject | None = transport.get_extra_info("ssl_object")
    certificate = secured.getpeercert(binary_form=True) if secured is not None else None
    return fingerprint_in(certificate) if certificate else None
