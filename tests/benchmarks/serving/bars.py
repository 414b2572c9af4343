"""The rows that all servers serve: daily bars of 5,000 securities over 1,000 sessions, the same on every machine.

Made once into `.cache/serving`: Parquet in the two orders that our own snapshots have (zstd, row groups of 16,384), and
the same rows for SQLite.
"""

from __future__ import annotations

import random
import sqlite3
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path

import duckdb

from datacanal.products.manifest import ROW_GROUP_ROWS

FOLDER = Path(__file__).parents[3] / ".cache" / "serving"
SECURITIES = 5_000
SESSIONS = 1_000
ROWS = SECURITIES * SESSIONS
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


def parquet(name: str = "by_key") -> Path:
    """The rows as one Parquet file: `by_key` or `by_session`, sorted by either first."""
    order = {"by_key": "sec_id, trade_date", "by_session": "trade_date, sec_id"}[name]
    file = FOLDER / f"{name}.parquet"
    if not file.exists():
        FOLDER.mkdir(parents=True, exist_ok=True)
        new = file.with_suffix(".new")
        with closing(duckdb.connect(config={"temp_directory": str(FOLDER / "spill")})) as connection:
            _load_names(connection)
            options = f"FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {ROW_GROUP_ROWS}"
            connection.execute(f"COPY ({_BARS} ORDER BY {order}) TO '{new}' ({options})")
        new.rename(file)
    return file


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
