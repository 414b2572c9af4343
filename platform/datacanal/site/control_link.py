"""The agent's side of the site protocol: typed calls out to the control plane's door for sites."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import TypeVar

import httpx
import structlog
from pydantic import ValidationError

from datacanal.domain.errors import DatacanalError, ServiceBusy, ServiceUnreachable, SessionLost
from datacanal.protocol.base import Document
from datacanal.protocol.problem import Problem, error_of
from datacanal.protocol.site import (
    CatalogueReport,
    ConsentAnswer,
    Finish,
    Heartbeat,
    HeartbeatReply,
    Hello,
    Poll,
    PollReply,
    RelayAsk,
    SharedProducts,
    Start,
    StepRef,
    Welcome,
)
from datacanal.site.answers import checked, read_answer, unreachable

_TIMEOUT = httpx.Timeout(10, connect=3)
_UPLOAD_TIMEOUT = httpx.Timeout(60, connect=3)
_RELAY_TIMEOUT = httpx.Timeout(20, connect=3)
_log = structlog.get_logger()
M = TypeVar("M", bound=Document)


class SiteDoor:
    """Where the door for sites is: what was pinned, and asked for again when nobody is there any more."""

    def __init__(self, url: str, find: Callable[[], Awaitable[str]]) -> None:
        self.url = url
        self._find = find
        self._looking = asyncio.Lock()

    async def look_again(self, failed: str) -> None:
        """Nobody answered at this address. Many may say so at once; one of them asks."""
        async with self._looking:
            if self.url != failed:
                return
            with suppress(ServiceUnreachable, ServiceBusy):
                self.url = await self._find()
        if self.url != failed:
            _log.info("door_moved", door=self.url)


class ControlLink:
    """Every call raises `ServiceUnreachable` or `ServiceBusy` where another try may help, else the problem it got."""

    def __init__(self, client: httpx.AsyncClient, door: SiteDoor) -> None:
        self._client = client
        self._door = door

    async def hello(self, hello: Hello) -> Welcome:
        return await self._ask("hello", hello, Welcome)

    async def report(self, catalogue: CatalogueReport) -> None:
        await self._post("catalogue", catalogue)

    async def poll(self, poll: Poll) -> PollReply:
        return await self._ask("poll", poll, PollReply, httpx.Timeout(poll.wait_s + 10, connect=3))

    async def heartbeat(self, heartbeat: Heartbeat) -> HeartbeatReply:
        return await self._ask("heartbeat", heartbeat, HeartbeatReply)

    async def products(self) -> SharedProducts:
        """The stable snapshots of the tenant's data products."""
        door = self._door.url
        try:
            response = await self._client.get(f"{door}/v1/site/products", timeout=_TIMEOUT)
        except httpx.TransportError as error:
            raise await self._unreachable(door, error) from None
        return read_answer(SharedProducts, checked(response))

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

    async def consent(self, consent: str, said: ConsentAnswer) -> None:
        await self._post(f"consents/{consent}", said)

    async def refuse_consent(self, consent: str, problem: Problem) -> None:
        await self._post(f"consents/{consent}/refuse", problem)

    @asynccontextmanager
    async def relayed(self, ask: RelayAsk) -> AsyncIterator[AsyncIterator[bytes]]:
        """What a sender says through the relay, while it comes. Raises its refusal, `ServiceBusy` where it is away."""
        door = self._door.url
        headers = {"Content-Type": "application/json"}
        try:
            async with self._client.stream(
                "POST", f"{door}/v1/site/relay", content=ask.model_dump_json(), headers=headers, timeout=_RELAY_TIMEOUT
            ) as response:
                if not response.is_success:
                    await response.aread()
                    raise _relay_refusal(response)
                yield response.aiter_raw()
        except httpx.TransportError as error:
            raise await self._unreachable(door, error) from None

    async def send_relay(self, relay: str, content: AsyncIterator[bytes]) -> None:
        """Stream what was sealed for a consumer."""
        await self._send(f"relays/{relay}", content, {"Content-Type": "application/octet-stream"}, _UPLOAD_TIMEOUT)

    async def refuse_relay(self, relay: str, problem: Problem) -> None:
        await self._post(f"relays/{relay}/refuse", problem)

    async def _ask(self, path: str, document: Document, model: type[M], within: httpx.Timeout = _TIMEOUT) -> M:
        return read_answer(model, await self._post(path, document, within))

    async def _post(self, path: str, document: Document, within: httpx.Timeout = _TIMEOUT) -> bytes:
        return await self._send(path, document.model_dump_json(), {"Content-Type": "application/json"}, within)

    async def _send(
        self, path: str, content: str | AsyncIterator[bytes], headers: dict[str, str], within: httpx.Timeout
    ) -> bytes:
        door = self._door.url
        try:
            response = await self._client.post(
                f"{door}/v1/site/{path}", content=content, headers=headers, timeout=within
            )
        except httpx.TransportError as error:
            raise await self._unreachable(door, error) from None
        return checked(response)

    async def _unreachable(self, door: str, error: httpx.TransportError) -> ServiceUnreachable:
        if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
            await self._door.look_again(door)
        return unreachable(door, error)


def _relay_refusal(response: httpx.Response) -> DatacanalError:
    """A relay that cannot be had now, or what the sender says."""
    try:
        problem = Problem.model_validate_json(response.content)
    except ValidationError:
        return ServiceBusy(reason=f"status {response.status_code} without a problem document")
    if response.status_code >= httpx.codes.INTERNAL_SERVER_ERROR or problem.code == SessionLost.code:
        return ServiceBusy(reason=problem.detail)
    return error_of(problem)
