"""A gateway with one product and a developer's client, for tests of what it answers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
from tests.products import ProductHome, Running, serving

from datacanal.storage.places import EMBEDDED

BARS = "/v1/products/pub.bars"
DATA = f"{BARS}/data"
ARROW = "application/vnd.apache.arrow.stream"
PARQUET = "application/vnd.apache.parquet"
FORMATS = ("application/json", "application/x-ndjson", "text/csv", ARROW, PARQUET)
ROUTES = ("", "/data", "/schema", "/openapi.json", "/sample", "/versions", "/condition")

Scene = Callable[[httpx.AsyncClient, Running, ProductHome], Awaitable[None]]


def played(folder: Path, scene: Scene, database: str = EMBEDDED, **section: Any) -> None:
    """The scene with one product, `pub.bars`, and a developer's client."""

    async def play() -> None:
        home = ProductHome(folder, database)
        home.stable("pub.bars")
        token = home.token("dev")
        async with serving(home, **section) as running, running.client(token) as client:
            await scene(client, running, home)

    asyncio.run(play())


async def told(client: httpx.AsyncClient, path: str, **more: Any) -> tuple[int, str]:
    answer = await client.request(more.pop("method", "GET"), path, **more)
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == answer.status_code
    assert problem["remedy"]
    return answer.status_code, problem["code"]
