"""A gateway with one listed product and a client that has a key of a subscription to it, for tests of metering."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import select
from tests.products import ProductHome, Running, serving

from datacanal.domain.usage import Quota
from datacanal.ledger.models import EventRow, HoldRow
from datacanal.protocol.products import Sample

NDJSON = "application/x-ndjson"

Scene = Callable[[httpx.AsyncClient, Running, ProductHome], Awaitable[None]]


def played(folder: Path, scene: Scene, quotas: Sequence[Quota] = (), *, rows: str | None = None, **terms: Any) -> None:
    """The scene with the listed product `pub.bars` and a client that has a key of a subscription to it."""

    async def play() -> None:
        home = ProductHome(folder)
        home.stable("pub.bars", rows, visibility="listed", owner="zoe", sample=Sample(rows=5))
        key = home.book.key(home.book.subscription("dev", "pub.bars", quotas, **terms))
        try:
            async with serving(home) as running, running.client(key) as client:
                await scene(client, running, home)
        finally:
            home.book.store.close()

    asyncio.run(play())


def events(home: ProductHome) -> list[EventRow]:
    with home.book.store.reading_rows() as session:
        return list(session.scalars(select(EventRow).order_by(EventRow.seq)))


def holds(home: ProductHome) -> list[HoldRow]:
    with home.book.store.reading_rows() as session:
        return list(session.scalars(select(HoldRow)))


def key_id(client: httpx.AsyncClient) -> str:
    return client.headers["authorization"].split("_")[2]
