"""A gateway with a product that is sold, under a clock that a test sets."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from tests.integration.developers import SUBSCRIPTIONS, Town, made
from tests.integration.developers import played as played_there
from tests.money import MoneyBook

TARIFFS = "/v1/products/pub.internal/tariffs"
INVOICES = "/v1/invoices"
BASIC = {"name": "basic", "currency": "CNY", "price": "0.01", "flat": "100", "included": 50}


class Clock:
    def __init__(self) -> None:
        self.at = datetime(2026, 10, 1, 9, tzinfo=UTC)

    def __call__(self) -> datetime:
        self.at += timedelta(milliseconds=1)
        return self.at


@contextmanager
def the_book(town: Town) -> Iterator[MoneyBook]:
    book = MoneyBook(town.home.home)
    try:
        yield book
    finally:
        book.store.close()


def played(folder: Path, scene: Callable[[Town, Clock], Awaitable[None]], **section: Any) -> None:
    clock = Clock()
    played_there(folder, lambda town: scene(town, clock), clock, **section)


async def sold(town: Town, **fields: Any) -> tuple[httpx.AsyncClient, httpx.AsyncClient, str]:
    """The publisher, a developer, and its subscription to what the publisher offers."""
    ann, dev = town.enter("ann", "publisher"), town.enter("dev")
    await made(ann, TARIFFS, **{**BASIC, **fields})
    subscription = await made(dev, SUBSCRIPTIONS, product="pub.internal")
    return ann, dev, str(subscription["id"])


def used(town: Town, subscription: str, units: int, at: datetime) -> str:
    with the_book(town) as book:
        return book.use(subscription, units, at)


async def closed(town: Town, period: str = "2026-10") -> list[dict[str, Any]]:
    answer = await town.enter("root", "admin").post(f"{INVOICES}/close", json={"period": period})
    assert answer.status_code == 200, answer.text
    found = answer.json()["invoices"]
    assert isinstance(found, list)
    return found
