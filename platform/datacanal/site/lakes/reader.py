"""The lake reader: a child process of the agent that opens Parquet footers, so that a hostile file cannot hurt it.

It reads one JSON request a line from stdin and answers one JSON line on stdout. It opens the files it is told to and
writes nothing; its memory is limited.
"""

from __future__ import annotations

import hashlib
import json
import os
import resource
import sys
from collections.abc import Iterator
from typing import Any

import duckdb

from datacanal.lifeline import hold_on
from datacanal.planning.quoting import glob_escaped, identifier
from datacanal.site.lakes.footers import bounds, is_plain, order_of

_MEMORY_BYTES = 2 * 2**30
_BATCH = 64


def main() -> None:
    """Answer requests until stdin ends."""
    hold_on()
    resource.setrlimit(resource.RLIMIT_DATA, (_MEMORY_BYTES, _MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    connection = _connect()
    for line in sys.stdin.buffer:
        answer = _answer(connection, json.loads(line))
        sys.stdout.buffer.write(json.dumps(answer).encode() + b"\n")
        sys.stdout.buffer.flush()


def _connect() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(config={"threads": 1, "memory_limit": "1GiB"})
    for setting in (
        "python_enable_replacements=false",
        "allow_community_extensions=false",
        "autoinstall_known_extensions=false",
        "autoload_known_extensions=false",
        "temp_directory=''",
        "TimeZone='UTC'",
        "lock_configuration=true",
    ):
        connection.execute(f"SET {setting}")
    return connection


def _answer(connection: duckdb.DuckDBPyConnection, request: dict[str, Any]) -> dict[str, Any]:
    try:
        if request["do"] == "footers":
            return _footers(connection, request["paths"])
        if request["do"] == "describe":
            return {"columns": _describe(connection, request["paths"], request["hive"])}
        os.nice(max(0, 10 - os.nice(0)))
        return {"counts": _sketch(connection, request)}
    except (duckdb.Error, MemoryError) as error:
        return {"failed": _first_line(error)}


def _first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:300]


def _footers(connection: duckdb.DuckDBPyConnection, paths: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    failed: dict[str, str] = {}
    for start in range(0, len(paths), _BATCH):
        batch = paths[start : start + _BATCH]
        try:
            found |= _read_batch(connection, batch)
        except duckdb.Error:
            for path in batch:  # one of them is at fault: which?
                try:
                    found |= _read_batch(connection, [path])
                except duckdb.Error as error:
                    failed[path] = _first_line(error)
    return {"footers": found, "unreadable": failed}


def _read_batch(connection: duckdb.DuckDBPyConnection, paths: list[str]) -> dict[str, Any]:
    escaped = {glob_escaped(path): path for path in paths}
    schemas = _rows_by_file(
        connection,
        "SELECT file_name, name, duckdb_type, num_children, type, converted_type, logical_type::VARCHAR, scale,"
        " precision FROM parquet_schema($paths)",
        list(escaped),
    )
    chunks = _rows_by_file(
        connection,
        "SELECT file_name, column_id, total_compressed_size, stats_null_count, stats_min_value, stats_max_value,"
        " min_is_exact IS NOT FALSE AND max_is_exact IS NOT FALSE, stats_nan_count, num_values"
        " FROM parquet_metadata($paths)",
        list(escaped),
    )
    files = connection.execute("SELECT file_name, num_rows, created_by FROM parquet_file_metadata($paths)", {
        "paths": list(escaped)
    }).fetchall()  # fmt: skip
    return {
        path: {
            "rows": rows,
            "signature": hashlib.sha256(json.dumps(schemas[path], default=str).encode()).hexdigest(),
            "columns": _columns(schemas[path], chunks.get(path, []), str(writer).startswith("DuckDB")),
        }
        for path, rows, writer in files
    }


def _rows_by_file(connection: duckdb.DuckDBPyConnection, sql: str, paths: list[str]) -> dict[str, list[Any]]:
    by_file: dict[str, list[Any]] = {}
    for path, *row in connection.execute(sql, {"paths": paths}).fetchall():
        by_file.setdefault(path, []).append(row)
    return by_file


def _columns(schema: list[Any], chunks: list[Any], by_duckdb: bool) -> dict[str, Any]:
    """Per top-level column, by its name without case: type, bytes, and statistics where it is not nested."""
    by_leaf: dict[int, list[Any]] = {}
    for leaf, *chunk in chunks:
        by_leaf.setdefault(leaf, []).append(chunk)
    columns: dict[str, Any] = {}
    for name, duckdb_type, leaves, nested in _top_level(schema):
        own = [chunk for leaf in leaves for chunk in by_leaf.get(leaf, [])]
        column: dict[str, Any] = {"type": duckdb_type or "", "compressed_bytes": sum(chunk[0] for chunk in own)}
        if not nested:
            column |= _statistics(own, duckdb_type or "", by_duckdb)
        columns[name.casefold()] = column
    return columns


def _top_level(schema: list[Any]) -> Iterator[tuple[str, str | None, range, bool]]:
    """Name, type, leaf numbers and whether it is nested, of every child of the root (the schema is depth first)."""
    position, leaf = 1, 0
    while position < len(schema):
        name, duckdb_type, children = schema[position][0], schema[position][1], schema[position][2]
        first, pending = leaf, 1
        while pending:
            below = schema[position][2] or 0
            leaf += 0 if below else 1
            pending += below - 1
            position += 1
        yield name, duckdb_type, range(first, leaf), bool(children)


def _statistics(chunks: list[Any], duckdb_type: str, by_duckdb: bool) -> dict[str, Any]:
    nulls = [chunk[1] for chunk in chunks]
    statistics: dict[str, Any] = {"null_count": None if None in nulls else sum(nulls)}
    if order_of(duckdb_type) is None:
        return statistics
    filled = [chunk for chunk in chunks if chunk[1] is None or chunk[1] < chunk[6]]
    floating = duckdb_type in ("DOUBLE", "FLOAT")
    pairs = [
        (low, high) if exact and (not floating or _without_nan(nans, by_duckdb)) else (None, None)
        for _, _, low, high, exact, nans, _ in filled
    ]
    low, high = bounds(pairs, duckdb_type)
    if low is not None and high is not None and is_plain(low, duckdb_type):
        statistics |= {"min": low, "max": high}
    return statistics


def _without_nan(nans: int | None, by_duckdb: bool) -> bool:
    """Other writers leave NaN out of their statistics without saying so; DuckDB writes none then."""
    return nans == 0 or (nans is None and by_duckdb)


def _describe(connection: duckdb.DuckDBPyConnection, paths: list[str], hive: bool) -> list[list[str]]:
    rows = connection.execute(
        f"DESCRIBE SELECT * FROM read_parquet($paths, union_by_name=true, hive_partitioning={hive})",  # noqa: S608  # a boolean
        {"paths": [glob_escaped(path) for path in paths]},
    ).fetchall()
    return [[name, duckdb_type] for name, duckdb_type, *_ in rows]


def _sketch(connection: duckdb.DuckDBPyConnection, request: dict[str, Any]) -> dict[str, int]:
    """Distinct counts, from a sample of about `sample_rows` of the files' `listed_rows`, scaled to `rows`."""
    names = request["columns"]
    counts = ", ".join(f"approx_count_distinct({identifier(name)})" for name in names)
    percent = min(100.0, 100.0 * request["sample_rows"] / max(1, request["listed_rows"]))
    sample = f"TABLESAMPLE system({percent:.4f}%)" if percent < 100 else ""
    row = connection.execute(
        f"SELECT count(*), {counts} FROM read_parquet($paths, union_by_name=true,"  # noqa: S608  # names are quoted
        f" hive_partitioning={bool(request['hive'])}) {sample}",
        {"paths": [glob_escaped(path) for path in request["paths"]]},
    ).fetchone()
    if row is None:
        return {}
    seen, *distinct = row
    return {name: _scaled(count, seen, request["rows"]) for name, count in zip(names, distinct, strict=True)}


def _scaled(distinct: int, seen: int, rows: int) -> int:
    """Linear in the part not seen where nearly every value was new, unchanged where values repeat."""
    if seen == 0 or seen >= rows or distinct < seen * 0.5:
        return min(distinct, rows)
    return min(rows, round(distinct * rows / seen))


if __name__ == "__main__":
    main()
