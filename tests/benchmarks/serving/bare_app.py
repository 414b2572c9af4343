"""The handler that a good engineer writes in ten minutes: FastAPI, DuckDB over the Parquet files, a cursor per request.

Run by the environment of the measured servers; `BARS` and `BARS_BY_SESSION` name the files.
"""

import io
import os
from collections.abc import Iterator
from datetime import date
from typing import Annotated, Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
from fastapi import Depends, FastAPI, Response

database = duckdb.connect(config={"threads": 1})
for view in ("bars", "bars_by_session"):
    database.execute(f"CREATE VIEW {view} AS FROM read_parquet('{os.environ[view.upper()]}')")
database.execute("SET parquet_metadata_cache = true")
app = FastAPI()


def cursor() -> Iterator[duckdb.DuckDBPyConnection]:
    with database.cursor() as each:
        yield each


Cursor = Annotated[duckdb.DuckDBPyConnection, Depends(cursor)]


@app.get("/securities/{sec_id}")
def security(cursor: Cursor, sec_id: str, since: date, limit: int = 100) -> list[dict[str, Any]]:
    sql = "SELECT * FROM bars WHERE sec_id = ? AND trade_date >= ? ORDER BY trade_date LIMIT ?"
    return rows(cursor.execute(sql, [sec_id, since, limit]))


@app.get("/sessions/{session}")
def session(cursor: Cursor, session: date, limit: int = 100) -> list[dict[str, Any]]:
    sql = "SELECT * FROM bars_by_session WHERE trade_date = ? ORDER BY sec_id LIMIT ?"
    return rows(cursor.execute(sql, [session, limit]))


@app.get("/bars")
def bars(cursor: Cursor, offset: int = 0, limit: int = 100) -> list[dict[str, Any]]:
    return rows(cursor.execute("SELECT * FROM bars ORDER BY sec_id, trade_date LIMIT ? OFFSET ?", [limit, offset]))


@app.get("/blocks/{first}/{last}")
def block(cursor: Cursor, first: str, last: str, format: str) -> Response:  # noqa: A002
    sql = "SELECT * FROM bars WHERE sec_id BETWEEN ? AND ? ORDER BY sec_id, trade_date"
    table = cursor.execute(sql, [first, last]).to_arrow_table()
    body = io.BytesIO()
    if format == "parquet":
        pq.write_table(table, body, compression="zstd")
    else:
        with pa.ipc.new_stream(body, table.schema) as stream:
            stream.write_table(table)
    return Response(body.getvalue(), media_type="application/octet-stream")


def rows(cursor: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
