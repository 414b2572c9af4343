"""Do what was asked for in one transaction: each ask is answered or refused, and no refusal is another's."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from datacanal.domain.errors import DatacanalError
from datacanal.ledger.asks import Ask
from datacanal.ledger.kept import Kept
from datacanal.ledger.page import Page, Reads


def perform(
    connection: Connection, asks: Sequence[Ask], now: datetime, *, are_new: bool = False, kept: Kept | None = None
) -> list[Any]:
    """The answers in the order of the asks, a `DatacanalError` for what is refused; inside a writing transaction.

    `kept` is what the same caller's transaction before read and wrote.

    `are_new`: none of them was tried before. Calls under ids of ours are not looked for then; should one be in the book
    all the same, its unique request id breaks the transaction, and the asks are to be tried again.
    """
    page, reads = Page(connection, now, kept), Reads(are_new=are_new)
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
