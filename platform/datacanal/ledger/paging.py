"""Read a table of the book from its beginning to its end, in the order of its numbers, a page at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import ColumnClause, Connection, Row, column, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import InstrumentedAttribute

_PAGE_ROWS = 2000


class Unreadable(Exception):  # it is said of a row
    """The row after those that were given cannot be read."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def in_pages(
    connection: Connection,
    number: InstrumentedAttribute[int],
    names: Sequence[str],
    after: int | None = None,
    until: int | None = None,
) -> Iterator[Row[Any]]:
    """The rows of the table that the number (its key) is of; the columns as the database keeps them, the number first.

    With `after` those of higher numbers, with `until` none of a higher one.
    Raises `Unreadable` where the database cannot give one, after all before it.
    """
    # By name alone, as their types would change what is there.
    columns: list[ColumnClause[Any]] = [column(name) for name in (number.key, *names)]
    every = select(*columns).select_from(number.class_).order_by(number)
    if until is not None:
        every = every.where(number <= until)
    page_rows, count = _PAGE_ROWS, after or 0
    while True:
        page = every.limit(page_rows)
        try:
            rows = connection.execute(page if after is None else page.where(number > after)).all()
        except DBAPIError:
            if page_rows == 1:
                raise Unreadable(count + 1) from None
            page_rows = 1
            continue
        if not rows:
            return
        count, after = count + len(rows), rows[-1][0]
        yield from rows
