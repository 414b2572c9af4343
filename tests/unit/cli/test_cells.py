"""Every kind of value is shown, and none of them makes the table fail."""

from __future__ import annotations

import duckdb
import pytest

from datacanal.cli.cells import column_texts


def texts(sql: str) -> list[str]:
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    table = connection.sql(f"SELECT {sql} AS x").to_arrow_table()
    return column_texts(table["x"])


@pytest.mark.parametrize(
    ("sql", "shown"),
    [
        ("NULL", "NULL"), ("true", "true"), ("12", "12"), ("1.50", "1.50"), ("'a'", "a"),
        ("1e0::DOUBLE / 3", "0.3333333333333333"),
        ("DATE '2024-02-29'", "2024-02-29"), ("TIMESTAMP '2024-02-29 01:02:03'", "2024-02-29 01:02:03"),
        ("TIMESTAMP '2024-02-29 01:02:03.5'", "2024-02-29 01:02:03.500000"), ("TIME '01:02:03'", "01:02:03"),
        ("TIMESTAMPTZ '2024-02-29 01:02:03+00'", "2024-02-29 01:02:03Z"),
        ("TIMESTAMP_NS '2024-02-29 01:02:03.123456789'", "2024-02-29 01:02:03.123456789"),
        ("[1, NULL, 3]", "[1, NULL, 3]"), ("{'a': 'x', 'b': [true]}", "{'a': 'x', 'b': [true]}"),
        ("'\\xAA\\x5C'::BLOB", "\\xAA\\x5C"), ("MAP {'k': 1}", "[('k', 1)]"),
    ],
)  # fmt: skip
def test_a_value_is_shown_as_people_write_it(sql: str, shown: str) -> None:
    assert texts(sql) == [shown]


@pytest.mark.parametrize(
    "sql",
    [
        "'infinity'::TIMESTAMP",
        "'290000-01-01'::TIMESTAMP",
        "['infinity'::TIMESTAMP]",
        "'-infinity'::DATE",
        "INTERVAL 3 MONTH",
    ],
)
def test_a_value_that_python_cannot_hold_is_shown_somehow(sql: str) -> None:
    assert texts(sql)[0]
