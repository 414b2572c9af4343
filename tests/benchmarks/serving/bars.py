"""The rows that all servers serve: daily bars of 5,000 securities over 1,000 sessions, the same on every machine.

Made once into `.cache/serving`: a snapshot by our builder, whose Parquet files all servers read but Datasette, and the
same rows for SQLite.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
import shutil
import sqlite3
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path

import duckdb

from datacanal.products import building
from datacanal.products.builder import Builder
from datacanal.products.building.orders import BuildOrder
from datacanal.products.manifest import Manifest, snapshot_folder
from datacanal.protocol.products import Contract

FOLDER = Path(__file__).parents[3] / ".cache" / "serving"
STORE = FOLDER / "products"
PRODUCT = "market.daily"
SECURITIES = 5_000
SESSIONS = 1_000
ROWS = SECURITIES * SESSIONS
_BUILD_BYTES = 2**30
_FIRST = date(2021, 1, 4)
_BATCH = 100_000

COLUMNS = {
    "sec_id": "VARCHAR",
    "trade_date": "DATE",
    "name": "VARCHAR",
    "open": "DOUBLE",
    "high": "DOUBLE",
    "low": "DOUBLE",
    "close": "DOUBLE",
    "volume": "BIGINT",
    "turnover": "DOUBLE",
}
KEY = ["sec_id", "trade_date"]
CONTRACT = Contract(key=list(KEY), session="trade_date")

# Arithmetic instead of a random function: its values are the same for every version and number of threads.
_BARS = """
SELECT sec_id, trade_date, name, open, round(greatest(open, close) + up / 100, 2) AS high,
       round(least(open, close) - down / 100, 2) AS low, close, volume, round(volume * close, 2) AS turnover
FROM (
    SELECT security.sec_id, session.trade_date, security.name,
           round(5 + (n * 7919 % 9000) / 100 + (n * 31 + d * 17) % 400 / 100, 2) AS open,
           round(5 + (n * 7919 % 9000) / 100 + (n * 37 + d * 13 + n * d % 101) % 400 / 100, 2) AS close,
           (n + d * 7) % 50 AS up, (n * 3 + d) % 50 AS down,
           100 * (1 + (n * 104729 + d * 15485863 + n * d) % 1000003)::BIGINT AS volume
    FROM security, session
)
"""


def sec_id(number: int) -> str:
    """The first half is listed in Shenzhen, the second in Shanghai; sorted as their numbers are."""
    return f"{number + 1:06}.XSHE" if number < SECURITIES // 2 else f"{600_000 + number - SECURITIES // 2:06}.XSHG"


def sessions() -> list[date]:
    """Weekdays, in order."""
    days = (_FIRST + timedelta(days=day) for day in range(SESSIONS * 2))
    return [day for day in days if day.weekday() < 5][:SESSIONS]


def rows() -> Path:
    """The rows as one Parquet file in no useful order, as a job would leave them."""
    file = FOLDER / "bars.parquet"
    if not file.exists():
        FOLDER.mkdir(parents=True, exist_ok=True)
        new = file.with_suffix(".new")
        with closing(duckdb.connect()) as connection:
            _load_names(connection)
            connection.execute(f"COPY ({_BARS}) TO '{new}' (FORMAT parquet, COMPRESSION zstd)")
        new.rename(file)
    return file


@cache
def snapshot() -> Manifest:
    """The rows as a product's snapshot, made by the builder as it is now; older ones go."""
    code = hashlib.sha256(b"".join(file.read_bytes() for file in sorted(Path(building.__file__).parent.glob("*.py"))))
    name = f"snp_{code.hexdigest()[:20]}"
    if not snapshot_folder(STORE, PRODUCT, name).exists():
        shutil.rmtree(STORE, ignore_errors=True)
    place = {"source": rows(), "store": STORE, "product": PRODUCT, "version": "1.0", "snapshot": name}
    order = BuildOrder(**place, contract=CONTRACT, created_at=datetime(2025, 1, 1, tzinfo=UTC))
    return asyncio.run(Builder(FOLDER / "spill", _BUILD_BYTES).build(order)).manifest


def parquet(name: str) -> Path:
    """The snapshot's file that is sorted `by_key` or `by_session`: everybody reads the same ones."""
    return snapshot_folder(STORE, PRODUCT, snapshot().snapshot) / f"{name}.parquet"


def database() -> Path:
    """The rows in SQLite, as two tables that are each sorted by their primary key: one for either order."""
    file = FOLDER / "bars.db"
    if not file.exists():
        new = file.with_suffix(".new")
        new.unlink(missing_ok=True)
        with closing(sqlite3.connect(new)) as target, closing(duckdb.connect()) as source:
            _fill(target, source)
        new.rename(file)
    return file


def _load_names(connection: duckdb.DuckDBPyConnection) -> None:
    chooser = random.Random(7)
    places, trades = "京沪深浙苏鲁川渝粤闽湘鄂", ["银行", "科技", "电子", "医药", "能源", "汽车", "食品", "软件"]
    securities = [
        (n, sec_id(n), f"{chooser.choice(places)}{chooser.choice(places)}{chooser.choice(trades)}")
        for n in range(SECURITIES)
    ]
    connection.execute("CREATE TABLE security (n BIGINT, sec_id VARCHAR, name VARCHAR)")
    connection.execute("CREATE TABLE session (d BIGINT, trade_date DATE)")
    connection.execute("BEGIN")
    connection.executemany("INSERT INTO security VALUES (?, ?, ?)", securities)
    connection.executemany("INSERT INTO session VALUES (?, ?)", list(enumerate(sessions())))
    connection.execute("COMMIT")


def _fill(target: sqlite3.Connection, source: duckdb.DuckDBPyConnection) -> None:
    target.execute("PRAGMA journal_mode = OFF")
    target.execute("PRAGMA synchronous = OFF")
    for table, file, key in (("bars", "by_key", KEY), ("bars_by_session", "by_session", KEY[::-1])):
        types = {"VARCHAR": "TEXT", "DATE": "TEXT", "DOUBLE": "REAL", "BIGINT": "INTEGER"}
        columns = ", ".join(f"{name} {types[kind]} NOT NULL" for name, kind in COLUMNS.items())
        target.execute(f"CREATE TABLE {table} ({columns}, PRIMARY KEY ({', '.join(key)})) WITHOUT ROWID")
        rows = "SELECT * REPLACE (trade_date::VARCHAR AS trade_date) FROM read_parquet(?)"
        source.execute(rows, [str(parquet(file))])
        marks = ", ".join("?" * len(COLUMNS))
        while batch := source.fetchmany(_BATCH):
            target.executemany(f"INSERT INTO {table} VALUES ({marks})", batch)
    target.execute("ANALYZE")
    target.commit()
