"""The launcher as its site's agent sees it."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import TypeVar

import httpx
from pydantic import ValidationError

from datacanal.domain.errors import LauncherUnreachable
from datacanal.protocol.base import Document
from datacanal.protocol.problem import Problem, error_of
from datacanal.site.launcher.specification import (
    MAX_WAIT_S,
    ContainerSpecification,
    ContainerState,
    ContainerStates,
    Hello,
    ImageState,
    PoolNetwork,
)

_TIMEOUT = httpx.Timeout(120, connect=5)
_BASE = "http://launcher/v1"
_JSON = {"Content-Type": "application/json"}

M = TypeVar("M", bound=Document)


class LauncherClient:
    """Speaks over the site's socket. Every method may be called twice.

    Each raises `LauncherUnreachable`, or what the launcher answers (`container_refused`, `container_differs`,
    `boot_superseded`, `image_not_found`, `container_engine_unreachable`, …) as a `RemoteError`.
    """

    def __init__(self, socket: Path) -> None:
        self._socket = socket
        self._http = httpx.AsyncClient(
            transport=httpx.AsyncHTTPTransport(uds=str(socket), limits=httpx.Limits(max_connections=None)),
            timeout=_TIMEOUT,
            trust_env=False,
        )

    async def __aenter__(self) -> LauncherClient:
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Let go of the connections."""
        await self._http.aclose()

    async def hello(self, boot: str) -> None:
        """Tell of a new life. What earlier ones left is gone when this returns."""
        await self._ask("POST", "hello", Hello(boot=boot))

    async def image(self, named: str | None = None) -> ImageState:
        """The image of that id, if it is allowed; None: the one that containers of this site run."""
        return self._read(ImageState, await self._ask("GET", "image" if named is None else f"image?id={named}"))

    async def ensure_network(self, network: PoolNetwork) -> None:
        """Make sure that the pool has its network."""
        await self._ask("PUT", f"networks/{network.pool}", network)

    async def remove_network(self, pool: str) -> None:
        """It is gone when this returns."""
        await self._ask("DELETE", f"networks/{pool}")

    async def start(self, specification: ContainerSpecification) -> ContainerState:
        """Make sure that this container was started; one that has ended since is not started again."""
        answer = await self._ask("PUT", f"containers/{specification.name}", specification)
        return self._read(ContainerState, answer)

    async def states(self) -> list[ContainerState]:
        """Of all containers of the site; one that has ended is told for 10 s more."""
        return self._read(ContainerStates, await self._ask("GET", "containers")).containers

    async def logs(self, name: str) -> str:
        """The end of what the container said, at most 64 KiB."""
        return (await self._ask("GET", f"containers/{name}/logs")).decode("utf-8", "replace")

    async def wait(self, name: str, timeout_s: float = MAX_WAIT_S) -> ContainerState:
        """How the container is once it has ended, or after so long (at most 60 s)."""
        return self._read(ContainerState, await self._ask("POST", f"containers/{name}/wait?timeout={timeout_s}"))

    async def remove(self, name: str) -> None:
        """Kill it. It is gone when this returns."""
        await self._ask("DELETE", f"containers/{name}")

    async def _ask(self, method: str, path: str, body: Document | None = None) -> bytes:
        content = None if body is None else body.model_dump_json()
        try:
            answer = await self._http.request(method, f"{_BASE}/{path}", content=content, headers=_JSON)
        except httpx.TransportError as error:
            raise self._unreachable(f"{type(error).__name__} {error}".strip()) from None
        if answer.is_success:
            return answer.content
        try:
            problem = Problem.model_validate_json(answer.content)
        except ValidationError:
            raise self._unreachable(f"status {answer.status_code} without a problem document") from None
        raise error_of(problem)

    def _read(self, model: type[M], content: bytes) -> M:
        try:
            return model.model_validate_json(content)
        except ValidationError:
            raise self._unreachable("its answer is of another version") from None

    def _unreachable(self, reason: str) -> LauncherUnreachable:
        return LauncherUnreachable(socket=str(self._socket), reason=reason)
