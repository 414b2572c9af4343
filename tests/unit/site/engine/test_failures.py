"""Errors of the engine leave as a code and a place in the text, never as words."""

from __future__ import annotations

import duckdb
import pytest

from datacanal.domain.errors import ConversionFailed
from datacanal.site.engine.failures import failure_of, position_in


def said(sql: str) -> duckdb.Error:
    with duckdb.connect(":memory:") as connection:
        connection.execute("CREATE TABLE t AS SELECT 'Novak' AS name")
        with pytest.raises(duckdb.Error) as caught:
            connection.sql(sql).fetchall()
    return caught.value


@pytest.mark.parametrize("wrapped", ["{}", "SELECT c0 FROM ({}\n) AS w(c0)", "CREATE TEMP TABLE r AS {}"])
@pytest.mark.parametrize("sql", ["SELECT name::DATE FROM t", "SELECT 1,\n  name::DATE FROM t", "SELECT name::DATE"])
def test_the_place_is_one_in_the_step_s_text(wrapped: str, sql: str) -> None:
    text = wrapped.format(sql + ("" if "FROM" in sql else " FROM t")).replace("w(c0)", "w" if "1," in sql else "w(c0)")
    text = text.replace("SELECT c0", "SELECT *") if "1," in sql else text
    assert position_in(sql, str(said(text))) == sql.index("::DATE")


def test_the_error_holds_the_place_and_no_value() -> None:
    sql = "SELECT CAST(name AS INTEGER) FROM t"
    failure = failure_of(said(sql), 1, sql)
    assert isinstance(failure, ConversionFailed)
    assert failure.data == {"position": 7}
    assert "character 7" in failure.detail
    assert "Novak" not in failure.detail


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("SELECT x::DATE, x::DATE", "E\n\nLINE 1: SELECT a, x::DATE\n                   ^^^^^^"),
        ("SELECT x", "no place"),
        ("SELECT 'é'", "E\n\nLINE 1: SELECT 'é'\n               ^^^"),
        ("SELECT x", "E\n\nLINE 1: \n        ^"),
    ],
)
def test_a_place_that_is_not_certain_is_not_told(sql: str, words: str) -> None:
    assert position_in(sql, words) is None
