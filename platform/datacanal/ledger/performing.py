"""Do what was asked for in one transaction: each ask is answered or refused, and no refusal is another's."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from datacanal.domain.errors import DatacanalError
from datacanal.ledger.asks import Ask
from datacanal.ledger.page import Page, Reads


def perform(connection: Connection, asks: Sequence[Ask], now: datetime) -> list[Any]:
    """The answers in the order of the asks, a `DatacanalError` for what is refused; inside a writing transaction."""
    page, reads = Page(connection, now), Reads()
    for ask in asks:
        ask.reads(reads)
    page.fetch(reads)
    answers = [_answer(ask, page) for ask in asks]
    page.write()
    return answers


def _answer(ask: Ask, page: Page) -> Any:
    try:
        return ask.act(page)
    except DatacanalError as refused:
        return refused
