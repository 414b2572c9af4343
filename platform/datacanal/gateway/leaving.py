"""Stop waiting when the client has gone."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, TypeVar

from starlette.types import Receive

T = TypeVar("T")


class ClientLeft(Exception):  # it is no error, and reaches nobody
    """Nobody waits for the answer any more."""


async def unless_left(receive: Receive, work: Coroutine[Any, Any, T]) -> T:
    """What the work gives; it is cancelled, and `ClientLeft` raised, when the client goes before that."""
    task, watcher = asyncio.create_task(work), asyncio.create_task(_departure(receive))
    try:
        await asyncio.wait({task, watcher}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ClientLeft
        return task.result()
    finally:
        for each in (task, watcher):
            each.cancel()
        with suppress(asyncio.CancelledError):
            await watcher


async def _departure(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
