"""The agent's side of the site protocol: typed calls out to the control plane."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import TypeVar

import httpx
from pydantic import ValidationError

from datacanal.domain.errors import DatacanalError, ServiceBusy, ServiceUnreachable
from datacanal.protocol.base import Document
from datacanal.protocol.problem import Problem, error_of
from datacanal.protocol.site import (
    CatalogueReport,
    Finish,
    Heartbeat,
    HeartbeatReply,
    Hello,
    Poll,
    PollReply,
    Start,
    StepRef,
    Welcome,
)

_TIMEOUT = httpx.Timeout(10, connect=3)
_UPLOAD_TIMEOUT = httpx.Timeout(60, connect=3)
M = TypeVar("M", bound=Document)


class ControlLink:
    """Every call raises `ServiceUnreachable` or `ServiceBusy` where another try may help, else the problem it got."""

    def __init__(self, client: httpx.AsyncClient, url: str, token: Callable[[], str]) -> None:
        self._client = client
        self._url = f"{url}/v1/site"
        self._token = token

    async def hello(self, hello: Hello) -> Welcome:
        return await self._ask("hello", hello, Welcome)

    async def report(self, catalogue: CatalogueReport) -> None:
        await self._post("catalogue", catalogue)

    async def poll(self, poll: Poll) -> PollReply:
        return await self._ask("poll", poll, PollReply, httpx.Timeout(poll.wait_s + 10, connect=3))

    async def heartbeat(self, heartbeat: Heartbeat) -> HeartbeatReply:
        return await self._ask("heartbeat", heartbeat, HeartbeatReply)

    async def start(self, step: StepRef, session: str) -> None:
        await self._post(f"jobs/{step.job}/steps/{step.step}/start", Start(session=session, fence=step.fence))

    async def finish(self, step: StepRef, finish: Finish) -> None:
        await self._post(f"jobs/{step.job}/steps/{step.step}/finish", finish)

    async def refuse(self, upload: str, problem: Problem) -> None:
        await self._post(f"uploads/{upload}/refuse", problem)

    async def upload(self, upload: str, part: AsyncIterator[bytes], *, offset: int, length: int, digest: str) -> None:
        """Stream the export from `offset` on; `length` and `digest` are of the whole, also where nothing is left."""
        headers = {
            "Content-Type": "application/octet-stream",
            "Content-Length": str(max(0, length - offset)),
            "Datacanal-Length": str(length),
            "Datacanal-Digest": digest,
        }
        await self._send(f"uploads/{upload}", part, headers, _UPLOAD_TIMEOUT)

    async def _ask(self, path: str, document: Document, model: type[M], within: httpx.Timeout = _TIMEOUT) -> M:
        try:
            return model.model_validate_json(await self._post(path, document, within))
        except ValidationError:
            raise ServiceBusy(reason="its answer is of another version") from None

    async def _post(self, path: str, document: Document, within: httpx.Timeout = _TIMEOUT) -> bytes:
        return await self._send(path, document.model_dump_json(), {"Content-Type": "application/json"}, within)

    async def _send(
        self, path: str, content: str | AsyncIterator[bytes], headers: dict[str, str], within: httpx.Timeout
    ) -> bytes:
        try:
            response = await self._client.post(
                f"{self._url}/{path}",
                content=content,
                headers={"Authorization": f"Bearer {self._token()}", **headers},
                timeout=within,
            )
        except httpx.TransportError as error:
            reason = f"{type(error).__name__} {error}".strip()
            raise ServiceUnreachable(url=self._url, reason=reason) from None
        if response.is_success:
            return response.content
        raise _failure(response)


def _failure(response: httpx.Response) -> DatacanalError:
    if response.status_code >= httpx.codes.INTERNAL_SERVER_ERROR:
        return ServiceBusy(reason=f"status {response.status_code}")
    try:
        return error_of(Problem.model_validate_json(response.content))
    except ValidationError:
        return ServiceBusy(reason=f"status {response.status_code} without a problem document")
