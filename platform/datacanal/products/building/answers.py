"""One request's answers from two snapshots, row by row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from datacanal.planning.quoting import identifier
from datacanal.products.building.differing import key_text, shown
from datacanal.products.building.pairs import Pair, types_of
from datacanal.products.manifest import BY_KEY, Manifest
from datacanal.products.query_form import Query
from datacanal.products.reading_sql import Statement, page_sql

_MOST_EXAMPLES = 10
_MOST_ROWS = 100_000
"""Of one answer; what a longer one has beyond is not compared."""
_ALL_ROWS = 2**62


@dataclass(frozen=True)
class Answers:
    """Of `rows` of the old answer some are `gone` or `changed`; `new` ones are in the new answer alone.

    All are 0 where the answers are the same.
    """

    rows: int
    gone: int
    changed: int
    new: int
    examples: list[str]

    @property
    def is_broken(self) -> bool:
        """Whether somebody who kept the old answer would be contradicted."""
        return bool(self.gone or self.changed)


def answers_of(pair: Pair, before: Query, after: Query, connection: duckdb.DuckDBPyConnection) -> Answers:
    """The same question asked of both. Raises DuckDB's errors."""
    question = _Question(pair, before, after)
    if question.has_same_pages(connection):
        return Answers(rows=0, gone=0, changed=0, new=0, examples=[])
    found = question.differing(connection)
    return Answers(
        rows=question.rows(connection),
        gone=found[0][0] if found else 0,
        changed=found[0][1] if found else 0,
        new=question.new(connection),
        examples=[question.example(row[2:]) for row in found],
    )


class _Question:
    """`before` and `after` are one request as the old and the new snapshot have it.

    The page of one side is joined with all rows of the other that pass the filters, in no order: where a row stands
    in the answer does not matter.
    """

    def __init__(self, pair: Pair, before: Query, after: Query) -> None:
        self._key = pair.old.key
        self._columns = list(dict.fromkeys([*self._key, *before.select]))
        self._old, self._new = types_of(pair.old), types_of(pair.new)
        rows = min(before.limit, _MOST_ROWS)
        old, new = _layout(pair.old_folder, pair.old, before), _layout(pair.new_folder, pair.new, after)
        self._old_page = page_sql(before, old, self._columns, None, rows, lies=False)
        self._old_all = page_sql(before, old, self._key, None, _ALL_ROWS, lies=True)
        self._new_page = page_sql(after, new, self._columns, None, rows, lies=False)
        self._new_all = page_sql(after, new, self._columns, None, _ALL_ROWS, lies=True)

    def has_same_pages(self, connection: duckdb.DuckDBPyConnection) -> bool:
        """Most answers do not change, and their pages are read quickly: then nothing else need be."""
        alone = [f"{side}.{identifier(self._key[0])} IS NULL" for side in "on"]
        differing = _number(
            connection,
            f"SELECT count(*) FROM ({self._old_page.sql}) o FULL JOIN ({self._new_page.sql}) n ON {self._match()}"
            f" WHERE {' OR '.join([*alone, *map(self._differs, self._columns)])}",
            [self._old_page, self._new_page],
        )
        return differing == 0

    def rows(self, connection: duckdb.DuckDBPyConnection) -> int:
        """How many the old page has."""
        return _number(connection, f"SELECT count(*) FROM ({self._old_page.sql})", [self._old_page])

    def new(self, connection: duckdb.DuckDBPyConnection) -> int:
        """How many rows of the new page the old snapshot has on no page."""
        return _number(
            connection,
            f"SELECT count(*) FROM ({self._new_page.sql}) n ANTI JOIN ({self._old_all.sql}) o ON {self._match()}",
            [self._new_page, self._old_all],
        )

    def differing(self, connection: duckdb.DuckDBPyConnection) -> list[tuple[Any, ...]]:
        """At most ten rows: how many are gone and how many changed in all, then what `example` reads."""
        gone = f"n.{identifier(self._key[0])} IS NULL"
        order = ", ".join(f"o.{identifier(name)}" for name in self._key)
        flags = [self._differs(name) for name in self._columns]
        texts = [f"CAST({side}.{identifier(name)} AS VARCHAR)" for name in self._columns for side in "on"]
        key = [f"CAST(o.{identifier(name)} AS VARCHAR)" for name in self._key]
        statement = (
            f"SELECT count(*) FILTER ({gone}) OVER (), count(*) FILTER (NOT ({gone})) OVER (),"
            f" {', '.join([*key, gone, *flags, *texts])}"
            f" FROM ({self._old_page.sql}) o LEFT JOIN ({self._new_all.sql}) n ON {self._match()}"
            f" WHERE {' OR '.join([gone, *flags])} ORDER BY {order} LIMIT {_MOST_EXAMPLES}"
        )
        return connection.execute(statement, _parameters([self._old_page, self._new_all])).fetchall()

    def example(self, row: Sequence[Any]) -> str:
        """A differing row in words, by the first column that changed."""
        width, columns = len(self._key), len(self._columns)
        key, gone, flags, texts = (
            row[:width],
            row[width],
            row[width + 1 : width + 1 + columns],
            row[width + 1 + columns :],
        )
        if gone:
            return f"{key_text(self._key, key)}: gone"
        place = list(flags).index(True)
        before, after = shown(texts[2 * place]), shown(texts[2 * place + 1])
        return f"{key_text(self._key, key)}: {self._columns[place]} was {before}, is {after}"

    def _match(self) -> str:
        return " AND ".join(self._compared(name, "IS NOT DISTINCT FROM") for name in self._key)

    def _differs(self, name: str) -> str:
        return self._compared(name, "IS DISTINCT FROM")

    def _compared(self, name: str, sign: str) -> str:
        """A column that was retyped is compared as text."""
        old, new = (f"{side}.{identifier(name)}" for side in "on")
        if self._old[name] == self._new[name]:
            return f"{old} {sign} {new}"
        return f"CAST({old} AS VARCHAR) {sign} CAST({new} AS VARCHAR)"


def _layout(folder: Path, manifest: Manifest, query: Query) -> Path:
    """The file in whose order the first filtered column comes first, or else that of the key."""
    filtered = {each.column for each in query.filters}
    files = [layout.file for layout in manifest.layouts if layout.order[0] in filtered]
    return folder / (files or [BY_KEY])[0]


def _number(connection: duckdb.DuckDBPyConnection, sql: str, statements: Sequence[Statement]) -> int:
    ((number,),) = connection.execute(sql, _parameters(statements)).fetchall()
    return int(number)


def _parameters(statements: Sequence[Statement]) -> list[str | int]:
    return [value for statement in statements for value in statement.parameters]
