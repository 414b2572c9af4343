"""The clock stands still for a job, in every spelling."""

from __future__ import annotations

import duckdb
import pytest

from datacanal.planning.instant import INSTANT_FUNCTIONS, instant_statements

NOW = "2026-03-04T06:06:07.5+01:00"


@pytest.fixture(scope="module")
def fixed() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    for statement in ("SET TimeZone = 'UTC'", *instant_statements(NOW)):
        connection.execute(statement)
    return connection


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("now()", "2026-03-04 05:06:07.5+00"),
        ("current_timestamp", "2026-03-04 05:06:07.5+00"),
        ("get_current_timestamp()", "2026-03-04 05:06:07.5+00"),
        ("transaction_timestamp()", "2026-03-04 05:06:07.5+00"),
        ("current_date", "2026-03-04"),
        ("today()", "2026-03-04"),
        ("localtimestamp", "2026-03-04 05:06:07.5"),
        ("current_localtimestamp()", "2026-03-04 05:06:07.5"),
        ("current_time", "05:06:07.5+00"),
        ("get_current_time()", "05:06:07.5+00"),
        ("localtime", "05:06:07.5"),
        ("current_localtime()", "05:06:07.5"),
        ("ago(INTERVAL 1 DAY)", "2026-03-03 05:06:07.5+00"),
        ("age(TIMESTAMP '2026-03-01')", "3 days"),
        ("age(DATE '2026-03-01', DATE '2026-02-01')", "1 month"),
    ],
)
def test_every_spelling_gives_the_one_instant(fixed: duckdb.DuckDBPyConnection, expression: str, value: str) -> None:
    assert fixed.execute(f"SELECT ({expression})::VARCHAR").fetchone() == (value,)


def test_types_and_titles_are_duckdbs_own(fixed: duckdb.DuckDBPyConnection) -> None:
    plain = duckdb.connect()
    calls = [
        name if name.startswith(("current_d", "current_t", "localt")) else f"{name}()" for name in INSTANT_FUNCTIONS
    ]
    sql = "DESCRIBE SELECT " + ", ".join(call for call in sorted(calls) if call not in ("age()", "ago()"))
    assert fixed.execute(sql).fetchall() == plain.execute(sql).fetchall()


def test_every_function_that_reads_the_clock_is_fixed() -> None:
    sql = "SELECT DISTINCT function_name FROM duckdb_functions() WHERE stability = 'CONSISTENT_WITHIN_QUERY'"
    found = {name for (name,) in duckdb.connect().execute(sql).fetchall()}
    session = {
        "current_database",
        "current_schema",
        "current_schemas",
        "current_setting",
        "getvariable",
        "in_search_path",
    }
    assert found - session - {"txid_current"} <= INSTANT_FUNCTIONS


@pytest.mark.parametrize("now", ["2026-03-04T05:06:07", "x'; DROP", ""])
def test_text_that_is_no_instant_with_a_zone_is_refused(now: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        instant_statements(now)
