"""A gateway with products of `ann`'s, and developers who subscribe to them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
from tests.products import ProductHome, Running, serving

from datacanal.storage.places import EMBEDDED

ACCOUNTS, SUBSCRIPTIONS, KEYS = "/v1/accounts", "/v1/subscriptions", "/v1/keys"


class Town:
    """A gateway with products of `ann`, and clients of whoever is named."""

    def __init__(self, running: Running, home: ProductHome) -> None:
        self.running = running
        self.home = home
        self.clients: list[httpx.AsyncClient] = []

    def enter(self, name: str, role: str = "developer", tenant: str = "default", **more: Any) -> httpx.AsyncClient:
        return self.by(self.home.token(name, role, tenant=tenant, **more))

    def by(self, secret: str | None) -> httpx.AsyncClient:
        client = self.running.client(secret)
        self.clients.append(client)
        return client


def played(
    folder: Path,
    scene: Callable[[Town], Awaitable[None]],
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    database: str = EMBEDDED,
    **section: Any,
) -> None:
    """The scene with an internal, a listed and a private product of ann's."""

    async def play() -> None:
        home = ProductHome(folder, database)
        home.product("pub.internal")
        home.product("pub.listed", visibility="listed")
        home.product("pub.private", visibility="private", readers=["principal:reader"])
        async with serving(home, now, **section) as running:
            town = Town(running, home)
            try:
                await scene(town)
            finally:
                for client in town.clients:
                    await client.aclose()
        home.engine.dispose()

    asyncio.run(play())


async def made(client: httpx.AsyncClient, path: str, status: int = 201, **body: Any) -> dict[str, Any]:
    answer = await client.post(path, json=body)
    assert answer.status_code == status, answer.text
    found = answer.json()
    assert isinstance(found, dict)
    return found


async def subscribed(client: httpx.AsyncClient, product: str = "pub.internal", status: int = 201) -> str:
    return str((await made(client, SUBSCRIPTIONS, status, product=product))["id"])


async def a_key(client: httpx.AsyncClient, **more: Any) -> dict[str, Any]:
    return await made(client, KEYS, subscription=await subscribed(client), **more)
