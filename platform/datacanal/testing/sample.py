"""Four small tables in two lakes at two sites, made to be awkward: the ground that random statements stand on.

NULLs everywhere but in keys, duplicates, a table without a key that holds whole rows twice, an empty table, and odd
types. Doubles are multiples of 1/64 (besides NaN, infinities and -0.0), so sums are exact in every order; intervals are
whole days below a month, so no two equal ones look different.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import duckdb

from datacanal.planning.quoting import literal


class Kind(StrEnum):
    """What a value is to the grammar; several DuckDB types may share one kind."""

    INT = "int"  # small: sums and products of a few stay far below 2^63
    BIG = "big"  # BIGINT up to its limits: compared, never computed with
    DEC = "dec"
    DBL = "dbl"
    STR = "str"
    BOOL = "bool"
    DATE = "date"
    TS = "ts"
    TSTZ = "tstz"
    TIME = "time"
    INTERVAL = "interval"
    UUID = "uuid"
    BLOB = "blob"
    JSON = "json"
    INTS = "ints"
    STRS = "strs"
    STRUCT = "struct"  # STRUCT(city VARCHAR, age INTEGER)
    GRADE = "grade"  # ENUM('low', 'mid', 'high')


GRADE_TYPE = "ENUM('low', 'mid', 'high')"


@dataclass(frozen=True)
class Column:
    name: str
    kind: Kind


@dataclass(frozen=True)
class SampleTable:
    """`key` names the columns whose equality makes two rows equal: all of them where there is no better key."""

    lake: str
    name: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    rows: int
    sql: str
    files: int = 1


def _columns(text: str) -> tuple[Column, ...]:
    pairs = (part.split(":") for part in text.split())
    return tuple(Column(name, Kind(kind)) for name, kind in pairs)


_PAYMENTS = SampleTable(
    lake="transactions",
    name="payments",
    columns=_columns(
        "payment_id:int account_id:int amount:dec booked:date made_at:tstz channel:str memo:str "
        "score:dbl flags:int tags:strs ref:uuid raw:blob huge_no:big risk:grade"
    ),
    key=("payment_id",),
    rows=60,
    files=2,
    sql="""
    SELECT i::INTEGER AS payment_id,
        CASE WHEN i % 11 <> 5 THEN (i * 7) % 13 END::INTEGER AS account_id,
        CASE WHEN i % 9 <> 4 THEN ((i * 37) % 500 - 170) / 4.0 END::DECIMAL(12, 2) AS amount,
        CASE WHEN i % 17 <> 2 THEN DATE '2024-01-01' + ((i * 5) % 45)::INTEGER END AS booked,
        CASE WHEN i % 13 <> 1 THEN TIMESTAMPTZ '2024-01-01 00:00:00+00' + to_hours((i * 29) % 900) END AS made_at,
        CASE WHEN i % 8 <> 3 THEN ['card', 'cash', 'wire', 'Card'][1 + (i * i) % 4] END AS channel,
        CASE i % 6 WHEN 0 THEN (i * 3)::VARCHAR WHEN 1 THEN 'n/a' WHEN 2 THEN '' WHEN 3 THEN 'Žižkov ☃ ' || i % 4
            WHEN 4 THEN ' 7' END AS memo,
        CASE i % 10 WHEN 0 THEN 'NaN' WHEN 1 THEN '-0.0' WHEN 2 THEN 'inf' WHEN 3 THEN '-inf' WHEN 4 THEN '0'
            WHEN 5 THEN NULL ELSE ((i * 11) % 64 / 8 - 3)::VARCHAR END::DOUBLE AS score,
        CASE WHEN i % 7 <> 6 THEN (i * 41) % 256 END::UTINYINT AS flags,
        CASE i % 5 WHEN 0 THEN [] WHEN 1 THEN ['a', NULL, 'b'] WHEN 2 THEN ['t' || i % 3] WHEN 3 THEN ['a', 'a']
            END::VARCHAR[] AS tags,
        CASE WHEN i % 4 <> 1 THEN lpad((i % 20)::VARCHAR, 8, '0') || '-0000-4000-8000-0000000000ff' END::UUID AS ref,
        CASE i % 4 WHEN 0 THEN '\\x00\\xFF'::BLOB WHEN 1 THEN ''::BLOB WHEN 2 THEN encode('b' || i % 3) END AS raw,
        CASE i % 5 WHEN 0 THEN 9223372036854775807 WHEN 1 THEN -9223372036854775808 WHEN 2 THEN i END::BIGINT
            AS huge_no,
        CASE i % 4 WHEN 0 THEN 'high' WHEN 1 THEN 'low' WHEN 2 THEN 'mid' END AS risk
    FROM range(60) AS r(i)
    """,
)

_READINGS = SampleTable(
    lake="transactions",
    name="readings",
    columns=_columns("account_id:int day:date level:dbl n:int clock:time note:str closed:bool"),
    key=("account_id", "day", "level", "n", "clock", "note", "closed"),
    rows=40,
    sql="""
    SELECT CASE WHEN j % 6 <> 1 THEN j % 13 END::INTEGER AS account_id,
        DATE '2024-01-05' + (j % 7)::INTEGER AS day,
        CASE j % 4 WHEN 0 THEN NULL WHEN 1 THEN -0.0 ELSE (j - 9) / 4 END::DOUBLE AS level,
        CASE WHEN j % 5 <> 2 THEN j % 4 END::SMALLINT AS n,
        CASE WHEN j % 5 <> 3 THEN TIME '06:30:00' + to_minutes(j * 17) END AS clock,
        CASE j % 4 WHEN 0 THEN 'low' WHEN 1 THEN 'LOW' WHEN 2 THEN NULL ELSE 'high' || j END AS note,
        CASE j % 3 WHEN 0 THEN true WHEN 1 THEN false END AS closed
    FROM (SELECT i % 25 AS j FROM range(40) AS r(i))
    """,
)

_PEOPLE = SampleTable(
    lake="users",
    name="people",
    columns=_columns(
        "person_id:int account_id:int name:str born:date parent_id:int profile:struct doc:json pause:interval "
        "active:bool seen:ts scores:ints grade:grade"
    ),
    key=("person_id",),
    rows=30,
    sql="""
    SELECT i::INTEGER AS person_id,
        CASE WHEN i % 7 <> 3 THEN (i * 5) % 16 END::INTEGER AS account_id,
        CASE WHEN i % 10 <> 9 THEN ['Ada', 'Bob', '王伟', 'Ada', 'O''Neil', ''][1 + i % 6] END AS name,
        CASE WHEN i % 12 <> 4 THEN DATE '1960-02-29' + ((i * 977) % 18000)::INTEGER END AS born,
        CASE WHEN i > 2 THEN i // 3 END::INTEGER AS parent_id,
        CASE WHEN i % 6 <> 5 THEN {'city': CASE WHEN i % 4 <> 2 THEN ['Brno', 'Plzeň'][1 + i % 2] END,
            'age': CASE WHEN i % 5 <> 1 THEN 20 + i % 3 END::INTEGER} END AS profile,
        CASE i % 4 WHEN 0 THEN '{"a": ' || i % 3 || ', "b": ["x", null]}' WHEN 1 THEN '[1, 2.5]' WHEN 2 THEN 'null'
            END::JSON AS doc,
        CASE WHEN i % 5 <> 2 THEN to_days((i % 9)::INTEGER) END AS pause,
        CASE i % 3 WHEN 0 THEN true WHEN 1 THEN false END AS active,
        CASE WHEN i % 8 <> 6 THEN TIMESTAMP '2024-01-03 12:00:00' + to_hours((i * 31) % 700) END AS seen,
        CASE i % 4 WHEN 0 THEN [] WHEN 1 THEN [i % 3, NULL, 7] WHEN 2 THEN [3, 1, 2] END::INTEGER[] AS scores,
        CASE i % 5 WHEN 0 THEN 'mid' WHEN 1 THEN 'low' WHEN 2 THEN 'high' WHEN 3 THEN 'mid' END AS grade
    FROM range(30) AS r(i)
    """,
)

_GHOSTS = SampleTable(
    lake="users",
    name="ghosts",
    columns=_columns("ghost_id:int account_id:int fee:dec label:str haunted_at:tstz weight:dbl awake:bool"),
    key=("ghost_id",),
    rows=0,
    sql="""
    SELECT 1::INTEGER AS ghost_id, 1::INTEGER AS account_id, 1::DECIMAL(9, 3) AS fee, '' AS label,
        TIMESTAMPTZ '2024-01-01 00:00:00+00' AS haunted_at, 0.5::DOUBLE AS weight, true AS awake
    WHERE false
    """,
)

TABLES = (_PAYMENTS, _READINGS, _PEOPLE, _GHOSTS)
LAKES = ("transactions", "users")


def write_sample_lakes(root: Path) -> dict[str, Path]:
    """Write the tables below `root`, one folder per lake and dataset; the lakes' folders by name."""
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for table in TABLES:
            folder = root / table.lake / table.name
            folder.mkdir(parents=True, exist_ok=True)
            for number in range(table.files):
                _write_part(connection, table, folder / f"part-{number}.parquet", number)
    return {lake: root / lake for lake in LAKES}


def _write_part(connection: duckdb.DuckDBPyConnection, table: SampleTable, file: Path, number: int) -> None:
    size = -(-table.rows // table.files)
    part = f"SELECT * FROM ({table.sql}) LIMIT {size} OFFSET {size * number}" if table.files > 1 else table.sql
    connection.execute(f"COPY ({part}) TO {literal(str(file))} (FORMAT parquet)")
