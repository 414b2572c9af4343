"""What must hold of every row: the key names one row, and no null where the contract allows none."""

from __future__ import annotations

from pathlib import Path

import duckdb

from datacanal.domain.wording import counted
from datacanal.planning.quoting import identifier
from datacanal.products.building.columns import listed
from datacanal.products.building.differing import key_text
from datacanal.products.building.engine import one_row, parquet
from datacanal.products.manifest import BY_KEY, Manifest
from datacanal.protocol.products import Check, Contract, Difference

_MOST_EXAMPLES = 10


def key_check(folder: Path, new: Manifest, connection: duckdb.DuckDBPyConnection) -> Check:
    """Held for a key that is null or names several rows; nobody can accept that, since pages are walked by key."""
    rows = parquet(folder / BY_KEY)
    differences = [*_null_keys(rows, new, connection), *_repeated_keys(rows, new, connection)]
    if not differences:
        says = f"{', '.join(new.key)} names each of the {new.rows:,} rows once."
        return Check(check="key", outcome="passed", says=says)
    says = (
        f"{', '.join(new.key)} does not name each row once. "
        "Make the job's rows unique by it (GROUP BY, QUALIFY, WHERE … IS NOT NULL), or name a longer key."
    )
    return Check(check="key", outcome="held", says=says, differences=differences)


def not_null_check(contract: Contract, folder: Path, new: Manifest, connection: duckdb.DuckDBPyConnection) -> Check:
    """Held for a null, or no column at all, where the contract promises values; nobody can accept that."""
    names = contract.not_null
    if not names:
        return Check(check="not_null", outcome="skipped", says="The contract names no column that is never null.")
    gone = [name for name in names if new.column(name) is None]
    differences = [Difference(what=f"there is no column {name!r}") for name in gone]
    differences += _nulls([name for name in names if name not in gone], folder, new, connection)
    if not differences:
        return Check(check="not_null", outcome="passed", says=f"No null in {listed(names)}.")
    says = (
        f"The contract promises values in {listed(names)}, and some are null or not there. "
        "Leave such rows out of the job, or fill them."
    )
    return Check(check="not_null", outcome="held", says=says, differences=differences[:100])


def _null_keys(rows: str, new: Manifest, connection: duckdb.DuckDBPyConnection) -> list[Difference]:
    return [_null_difference(name, rows, new, count, connection) for name, count in _counts(new.key, rows, connection)]


def _nulls(names: list[str], folder: Path, new: Manifest, connection: duckdb.DuckDBPyConnection) -> list[Difference]:
    rows = parquet(folder / BY_KEY)
    return [_null_difference(name, rows, new, count, connection) for name, count in _counts(names, rows, connection)]


def _counts(names: list[str], rows: str, connection: duckdb.DuckDBPyConnection) -> list[tuple[str, int]]:
    """The columns that have nulls, and how many."""
    if not names:
        return []
    counts = ", ".join(f"count(*) - count({identifier(name)})" for name in names)
    found = one_row(connection, f"SELECT {counts} FROM {rows}")
    return [(name, int(str(count))) for name, count in zip(names, found, strict=True) if count]


def _null_difference(
    name: str, rows: str, new: Manifest, count: int, connection: duckdb.DuckDBPyConnection
) -> Difference:
    texts, order = _key_texts(new), ", ".join(map(identifier, new.key))
    found = connection.execute(
        f"SELECT {texts} FROM {rows} WHERE {identifier(name)} IS NULL ORDER BY {order} LIMIT {_MOST_EXAMPLES}"
    ).fetchall()
    return Difference(
        what=f"{name!r} is null in {counted(count, 'row')}", examples=[key_text(new.key, row) for row in found]
    )


def _repeated_keys(rows: str, new: Manifest, connection: duckdb.DuckDBPyConnection) -> list[Difference]:
    order = ", ".join(map(identifier, new.key))
    found = connection.execute(
        f"WITH repeated AS (SELECT {order}, count(*) AS times FROM {rows} GROUP BY {order} HAVING count(*) > 1)"
        f" SELECT {_key_texts(new)}, repeated.times, (SELECT count(*) FROM repeated) FROM repeated"
        f" ORDER BY {order} LIMIT {_MOST_EXAMPLES}"
    ).fetchall()
    if not found:
        return []
    examples = [f"{key_text(new.key, row[:-2])}: {row[-2]} rows" for row in found]
    return [Difference(what=f"several rows have the same key: {counted(found[0][-1], 'such key')}", examples=examples)]


def _key_texts(new: Manifest) -> str:
    return ", ".join(f"CAST({identifier(name)} AS VARCHAR)" for name in new.key)
