"""Small snapshots of products for tests, laid out as a builder lays out large ones."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pyarrow as pa

from datacanal.formats.shapes import shaped
from datacanal.planning.quoting import identifier, literal
from datacanal.products.manifest import MANIFEST, Column, Layout, Manifest, Session, snapshot_folder


def write_snapshot(
    store: Path,
    name: str,
    table: pa.Table | str,
    key: Sequence[str],
    session: str | None = None,
    *,
    snapshot: str = "snp_test",
    version: str = "1.0.0",
    row_group_rows: int = 2048,
) -> Manifest:
    """A finished snapshot of `name` (`publisher.product`) with the rows of an Arrow table or of a SELECT.

    DuckDB makes row groups of whole vectors: `row_group_rows` is rounded up to 2048.
    """
    folder = snapshot_folder(store, name, snapshot)
    folder.mkdir(parents=True)
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        _take(connection, table)
        orders = {"by_key.parquet": list(key)}
        if session is not None and session != key[0]:
            orders["by_session.parquet"] = [session, *(each for each in key if each != session)]
        layouts = [_written(connection, folder / file, order, row_group_rows) for file, order in orders.items()]
        manifest = Manifest(
            product=name,
            version=version,
            snapshot=snapshot,
            created_at=datetime(2026, 1, 1, tzinfo=UTC),
            columns=_columns(connection, folder / "by_key.parquet"),
            key=list(key),
            session=session,
            rows=_number(connection, "SELECT count(*) FROM given"),
            layouts=layouts,
            sessions=_sessions(connection, session) if session is not None else [],
        )
    (folder / MANIFEST).write_text(manifest.model_dump_json(indent=1))
    return manifest


def _take(connection: duckdb.DuckDBPyConnection, table: pa.Table | str) -> None:
    if isinstance(table, str):
        connection.execute(f"CREATE TEMP TABLE raw AS {table}")
    else:
        connection.register("arrow_rows", table)
        connection.execute("CREATE TEMP TABLE raw AS FROM arrow_rows")
    described = connection.execute("DESCRIBE raw").fetchall()
    parts = [f"{shaped(identifier(n), duckdb.sqltype(t), 'parquet')} AS {identifier(n)}" for n, t, *_ in described]
    connection.execute(f"CREATE TEMP TABLE given AS SELECT {', '.join(parts)} FROM raw")


def _written(connection: duckdb.DuckDBPyConnection, file: Path, order: list[str], row_group_rows: int) -> Layout:
    by = ", ".join(f"{identifier(each)} NULLS LAST" for each in order)
    connection.execute(
        f"COPY (FROM given ORDER BY {by}) TO {literal(str(file))} "
        f"(FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {row_group_rows})"
    )
    content = file.read_bytes()
    return Layout(order=order, file=file.name, bytes=len(content), sha256=hashlib.sha256(content).hexdigest())


def _columns(connection: duckdb.DuckDBPyConnection, file: Path) -> list[Column]:
    described = connection.execute(f"DESCRIBE FROM read_parquet({literal(str(file))})").fetchall()
    return [
        Column(
            name=name,
            type=kind,
            nullable=bool(_number(connection, f"SELECT count(*) FROM given WHERE {identifier(name)} IS NULL")),
        )
        for name, kind, *_ in described
    ]


def _sessions(connection: duckdb.DuckDBPyConnection, session: str) -> list[Session]:
    name = identifier(session)
    rows = connection.execute(f"SELECT CAST({name} AS VARCHAR), count(*) FROM given GROUP BY {name} ORDER BY {name}")
    return [Session(session=text, rows=count) for text, count in rows.fetchall()]


def _number(connection: duckdb.DuckDBPyConnection, statement: str) -> int:
    row = connection.execute(statement).fetchone()
    return int(row[0]) if row else 0
