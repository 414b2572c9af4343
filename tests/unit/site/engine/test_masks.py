"""Masks: what each shows of every type that it takes, that none raises, and that the types are those that are told."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator
from typing import Any

import duckdb
import pytest

from datacanal.site.engine.masks import check_mask, masked, masked_type

KEY = bytes(range(32)).hex()


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as opened:
        opened.execute("SET TimeZone = 'America/New_York'")
        yield opened


def seen(connection: duckdb.DuckDBPyConnection, value: str, mask: str, kind: str) -> tuple[Any, str]:
    """The masked value, as text, and its type."""
    sql = masked("v", mask, kind, KEY)
    row = connection.execute(
        f"SELECT CAST({sql} AS VARCHAR), typeof({sql}) FROM (SELECT CAST({value} AS {kind}) AS v)"
    ).fetchone()
    assert row is not None
    return row[0], row[1]


@pytest.mark.parametrize(
    ("mask", "kind", "value", "shown"),
    [
        ("year", "DATE", "'1985-06-12'", "1985"),
        ("year", "DATE", "'0044-03-15 (BC)'", "-43"),
        ("year", "DATE", "'infinity'", None),
        ("year", "TIMESTAMP", "'1985-12-31 23:59:59'", "1985"),
        ("year", "TIMESTAMP_NS", "'1985-12-31 23:59:59'", "1985"),
        ("year", "TIMESTAMP WITH TIME ZONE", "'2021-01-01 00:30:00+00'", "2021"),
        ("year", "TIMESTAMP WITH TIME ZONE", "'infinity'", None),
        ("year", "TIMESTAMP WITH TIME ZONE", "'294246-12-31 23:00:00+00'", "294246"),
        ("year", "TIMESTAMP WITH TIME ZONE", "'290308-12-31 (BC) 00:00:00+00'", "-290307"),
        ("year", "DATE", "'5881580-07-10'", "5881580"),
        ("year", "DATE", "'5877642-06-25 (BC)'", "-5877641"),
        ("prefix(3)", "VARCHAR", "'850612/1234'", "850"),
        ("prefix(3)", "VARCHAR", "'ab'", "ab"),
        ("prefix(2)", "VARCHAR", "'žluť'", "žl"),
        ("prefix(2)", "VARCHAR", "'e\u0301\u0302\u0303x'", "e\u0301"),
        ("prefix(1)", "VARCHAR", "''", ""),
        ("bucket(10)", "INTEGER", "47", "40"),
        ("bucket(10)", "INTEGER", "-1", "-10"),
        ("bucket(10)", "INTEGER", "-10", "-10"),
        ("bucket(10)", "INTEGER", "0", "0"),
        ("bucket(100)", "TINYINT", "-128", "-128"),
        ("bucket(100)", "TINYINT", "-1", "-100"),
        ("bucket(1000)", "BIGINT", "-9223372036854775808", "-9223372036854775808"),
        ("bucket(1000)", "BIGINT", "9223372036854775807", "9223372036854775000"),
        (
            "bucket(7)",
            "HUGEINT",
            "-170141183460469231731687303715884105728",
            "-170141183460469231731687303715884105728",
        ),
        ("bucket(1000)", "UTINYINT", "255", None),
        ("bucket(100)", "UTINYINT", "255", "200"),
        ("bucket(10)", "UBIGINT", "18446744073709551615", "18446744073709551610"),
        ("bucket(0.25)", "DECIMAL(9,2)", "1.49", "1.25"),
        ("bucket(0.25)", "DECIMAL(9,2)", "-1.49", "-1.50"),
        ("bucket(50)", "DECIMAL(4,2)", "-99.99", "-99.99"),
        ("bucket(50)", "DECIMAL(4,2)", "-0.01", "-50.00"),
        ("bucket(1000)", "DECIMAL(38,2)", f"'-{'9' * 36}.99'", f"-{'9' * 36}.99"),
        ("bucket(1000)", "DECIMAL(38,2)", f"'{'9' * 36}.99'", f"{'9' * 33}000.00"),
        ("bucket(0.5)", "DOUBLE", "-0.2", "-0.5"),
        ("bucket(10)", "DOUBLE", "'nan'", "nan"),
        ("bucket(10)", "DOUBLE", "'-inf'", "-inf"),
        ("bucket(0.5)", "DOUBLE", "1.7976931348623157e308", "inf"),
        ("bucket(10)", "FLOAT", "47.5", "40.0"),
    ],
)
def test_a_mask_shows_what_it_should(
    connection: duckdb.DuckDBPyConnection, mask: str, kind: str, value: str, shown: str | None
) -> None:
    if masked_type(mask, kind) is None:
        assert shown is None
        return
    assert seen(connection, value, mask, kind) == (shown, masked_type(mask, kind))


@pytest.mark.parametrize("kind", ["BIGINT", "INTEGER", "VARCHAR", "DATE", "UUID", "BOOLEAN", "TIMESTAMP", "HUGEINT"])
@pytest.mark.parametrize("mask", ["year", "prefix(2)", "bucket(5)", "hash"])
def test_null_stays_null_behind_every_mask(connection: duckdb.DuckDBPyConnection, mask: str, kind: str) -> None:
    if masked_type(mask, kind) is not None:
        assert seen(connection, "NULL", mask, kind) == (None, masked_type(mask, kind))


@pytest.mark.parametrize(
    ("kind", "value", "text"),
    [
        ("VARCHAR", "'Nováková'", "Nováková"),
        ("INTEGER", "42", "42"),
        ("UBIGINT", "42", "42"),
        ("DATE", "'2020-01-02'", "2020-01-02"),
        ("UUID", "'5DD6A0B0-0000-4000-8000-000000000000'", "5dd6a0b0-0000-4000-8000-000000000000"),
        ("TIMESTAMP WITH TIME ZONE", "'2020-01-02 03:04:05+00'", "2020-01-02 03:04:05"),
    ],
)
def test_a_hash_is_the_keyed_hmac_of_the_value_s_text(
    connection: duckdb.DuckDBPyConnection, kind: str, value: str, text: str
) -> None:
    expected = hmac.new(bytes.fromhex(KEY), text.encode(), hashlib.sha256).hexdigest()
    assert seen(connection, value, "hash", kind) == (expected, "VARCHAR")


@pytest.mark.parametrize("length", [0, 16, 64, 65, 200])
def test_keys_of_any_length_are_used_as_hmac_uses_them(connection: duckdb.DuckDBPyConnection, length: int) -> None:
    key = b"k" * length
    sql = masked("'x'", "hash", "VARCHAR", key.hex())
    assert connection.execute(f"SELECT {sql}").fetchone() == (hmac.new(key, b"x", hashlib.sha256).hexdigest(),)


@pytest.mark.parametrize(
    ("mask", "kind"),
    [
        ("year", "VARCHAR"),
        ("year", "INTEGER"),
        ("year", "TIME"),
        ("hash", "DOUBLE"),
        ("hash", "DECIMAL(9,2)"),
        ("hash", "BLOB"),
        ("hash", "INTEGER[]"),
        ("prefix(3)", "INTEGER"),
        ("prefix(3)", "BLOB"),
        ("prefix(3)", "JSON"),
        ("bucket(10)", "VARCHAR"),
        ("bucket(10)", "DATE"),
        ("bucket(0.5)", "INTEGER"),
        ("bucket(200)", "TINYINT"),
        ("bucket(0.125)", "DECIMAL(9,2)"),
        ("bucket(100)", "DECIMAL(4,2)"),
        ("bucket(10)", "STRUCT(a INTEGER)"),
    ],
)
def test_a_mask_is_not_put_over_other_types(mask: str, kind: str) -> None:
    assert masked_type(mask, kind) is None


@pytest.mark.parametrize(
    "text", ["", "Year", "prefix", "prefix(0)", "prefix(-1)", "bucket()", "bucket(0)", "bucket(0.0)"]
)
def test_what_is_no_mask_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"mask|prefix|bucket"):
        check_mask(text)
