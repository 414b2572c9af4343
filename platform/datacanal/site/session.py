"""The agent's session with the control plane: made by a hello, lost when the control plane says so, made again."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

from datacanal.domain.errors import DatacanalError, ServiceBusy, ServiceUnreachable, SessionLost
from datacanal.protocol.site import Hello, Welcome
from datacanal.site.control_link import ControlLink

_FIRST_WAIT_S = 0.1
_LONGEST_WAIT_S = 3.0
_jitter = random.Random()  # noqa: S311  # it spreads load; nothing is guessed from it
_log = structlog.get_logger()
T = TypeVar("T")


class Session:
    """Gives callers the current session and renews it when one finds it lost; sets `begun` for each new one."""

    def __init__(self, link: ControlLink, hello: Callable[[], Hello], begun: asyncio.Event) -> None:
        self._link = link
        self._hello = hello
        self._begun = begun
        self._welcome: Welcome | None = None
        self._renewing = asyncio.Lock()

    async def current(self) -> Welcome:
        """The session; says hello until it is welcome."""
        async with self._renewing:
            while self._welcome is None:
                self._welcome = await self._begin()
            return self._welcome

    async def id(self) -> str:
        """The id of the session."""
        return (await self.current()).session

    async def _begin(self) -> Welcome | None:
        try:
            welcome = await patiently("hello", lambda: self._link.hello(self._hello()))
        except DatacanalError as error:  # the operator has to change something: a token, a version
            _log.warning("hello_refused", code=error.code, detail=error.detail)
            await asyncio.sleep(_LONGEST_WAIT_S)
            return None
        _log.info("session_begun", session=welcome.session)
        self._begun.set()
        return welcome

    def lost(self, welcome: Welcome) -> None:
        """The control plane no longer knows this session."""
        if self._welcome is welcome:
            self._welcome = None

    async def call(self, what: str, call: Callable[[Welcome], Awaitable[T]]) -> T:
        """Make the call in the current session until it is answered: patient while nobody answers, anew after a loss.

        Raises the problem that answers it otherwise.
        """
        while True:
            welcome = await self.current()
            try:
                return await patiently(what, lambda welcome=welcome: call(welcome))  # type: ignore[misc]
            except DatacanalError as error:
                if error.code != SessionLost.code:
                    raise
                self.lost(welcome)


async def patiently(what: str, call: Callable[[], Awaitable[T]]) -> T:
    """Repeat the call, with growing waits and jitter, for as long as nobody is there to answer it."""
    wait_s = _FIRST_WAIT_S
    while True:
        try:
            return await call()
        except (ServiceUnreachable, ServiceBusy) as error:
            if wait_s == _FIRST_WAIT_S:
                _log.warning("control_away", call=what, code=error.code, reason=str(error.data.get("reason")))
        await asyncio.sleep(wait_s * (0.5 + _jitter.random()))
        wait_s = min(wait_s * 2, _LONGEST_WAIT_S)
