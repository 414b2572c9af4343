"""The rows that differ between two snapshots, and examples of them that a person understands."""

from __future__ import annotations

from collections.abc import Sequence

import duckdb

from datacanal.products.building.pairs import Pair
from datacanal.protocol.products import Difference

_MOST = 10
_LONGEST_VALUE = 100
_WORDS = {"changed": "values that changed", "removed": "rows that are gone", "added": "rows that are new"}


def keep_differing(pair: Pair, connection: duckdb.DuckDBPyConnection) -> None:
    """Make the table `differing` of key, old session and state of every row that is not the same."""
    keys = [f"coalesce(o.k{place}, n.k{place}) AS k{place}" for place in range(len(pair.old.key))]
    connection.execute(
        f"CREATE TEMP TABLE differing AS SELECT * FROM (SELECT {', '.join(keys)}, o.s AS s, {pair.state} AS state"
        f" FROM old o FULL JOIN new n ON {pair.match}) WHERE state <> 'same'"
    )


def differing_examples(pair: Pair, connection: duckdb.DuckDBPyConnection) -> list[Difference]:
    """The first ten rows of each kind in the order of the key."""
    found = [(_WORDS[state], _rows(pair, connection, state)) for state in _WORDS]
    return [Difference(what=what, examples=examples) for what, examples in found if examples]


def _rows(pair: Pair, connection: duckdb.DuckDBPyConnection, state: str) -> list[str]:
    keys = [f"k{place}" for place in range(len(pair.old.key))]
    table = f"(SELECT * FROM differing WHERE state = '{state}' ORDER BY {', '.join(keys)} LIMIT {_MOST})"
    if state != "changed":
        texts = [f"CAST({key} AS VARCHAR)" for key in keys]
        found = connection.execute(f"SELECT {', '.join(texts)} FROM {table} ORDER BY {', '.join(keys)}").fetchall()
        return [key_text(pair.old.key, row) for row in found]
    return _changed(pair, connection, table, keys)


def _changed(pair: Pair, connection: duckdb.DuckDBPyConnection, table: str, keys: list[str]) -> list[str]:
    """For each row the first column that differs."""
    values = range(len(pair.values))
    matches = {side: " AND ".join(f"d.{key} IS NOT DISTINCT FROM {side}.{key}" for key in keys) for side in "on"}
    flags = ", ".join(f"o.v{place} IS DISTINCT FROM n.v{place}" for place in values)
    texts = ", ".join(f"CAST({side}.v{place} AS VARCHAR)" for place in values for side in "on")
    found = connection.execute(
        f"SELECT {', '.join(f'CAST(d.{key} AS VARCHAR)' for key in keys)}, {flags}, {texts} FROM {table} d"
        f" JOIN old o ON {matches['o']} JOIN new n ON {matches['n']} ORDER BY {', '.join(f'd.{key}' for key in keys)}"
    ).fetchall()
    return [_change(pair, row) for row in found]


def _change(pair: Pair, row: Sequence[object]) -> str:
    width = len(pair.old.key)
    key, flags, texts = row[:width], row[width : width + len(pair.values)], row[width + len(pair.values) :]
    place = list(flags).index(True)
    before, after = shown(texts[2 * place]), shown(texts[2 * place + 1])
    return f"{key_text(pair.old.key, key)}: {pair.values[place]} was {before}, is {after}"


def key_text(names: Sequence[str], values: Sequence[object]) -> str:
    """A row's key as it stands in a report."""
    return ", ".join(f"{name} = {shown(value)}" for name, value in zip(names, values, strict=True))


def shown(value: object) -> str:
    """A value that DuckDB made text of, cut to a bounded length."""
    text = "NULL" if value is None else str(value)
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}…"
