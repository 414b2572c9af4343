"""Snapshots made by the builder's own code, without its process: rows from a SELECT, any contract."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import duckdb

from datacanal.planning.quoting import literal
from datacanal.products.building.engine import connect
from datacanal.products.building.orders import BuildOrder
from datacanal.products.building.writing import build
from datacanal.products.manifest import snapshot_folder
from datacanal.protocol.products import Contract

PRODUCT = "desk.prices"
MADE_AT = datetime(2026, 1, 1, tzinfo=UTC)
MEMORY_BYTES = 512 * 2**20


def parquet_of(folder: Path, select: str, name: str = "result") -> Path:
    """The SELECT's rows as a Parquet file of that folder."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{name}.parquet"
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(f"COPY ({select}) TO {literal(str(file))} (FORMAT parquet)")
    return file


def build_order(
    home: Path, select: str, contract: Contract, snapshot: str = "snp_1", version: str = "1.0.0"
) -> BuildOrder:
    """An order for the store `home/store`, whose source lies in `home/results`."""
    return BuildOrder(
        source=parquet_of(home / "results", select, snapshot),
        store=home / "store",
        product=PRODUCT,
        version=version,
        snapshot=snapshot,
        contract=contract,
        created_at=MADE_AT,
    )


def connection_for(home: Path, threads: int = 2, memory_bytes: int = MEMORY_BYTES) -> duckdb.DuckDBPyConnection:
    """A builder's connection that may read and write below `home`."""
    return connect(memory_bytes, threads, home / "spill", [home])


def built(home: Path, select: str, contract: Contract, snapshot: str = "snp_1", version: str = "1.0.0") -> Path:
    """The folder of the snapshot, built in this process."""
    order = build_order(home, select, contract, snapshot, version)
    with connection_for(home) as connection:
        build(order, connection)
    return snapshot_folder(order.store, order.product, order.snapshot)
