"""Odd but legal statements give, over two sites, what one DuckDB over everything gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from datacanal.testing.comparator import assert_same

_LINES = (Path(__file__).parent / "legal.sql").read_text(encoding="utf-8").splitlines()
STATEMENTS = [line for line in _LINES if line and not line.startswith("--")]


@pytest.mark.parametrize("line", STATEMENTS)
def test_a_legal_statement_gives_what_one_duckdb_gives(bench: Any, line: str) -> None:
    sql = line.removeprefix("! ")
    answer, expected = bench.answer(sql), bench.expected(sql)
    if line.startswith("! "):
        assert (answer.schema, answer.num_rows) == (expected.schema, expected.num_rows)
    elif "ORDER BY" in sql.rpartition(")")[2]:
        assert answer.schema.equals(expected.schema)
        assert_same(answer, expected, ordered_by=[])
        assert answer.to_pylist() == expected.to_pylist()
    else:
        assert_same(answer, expected)


def test_there_are_at_least_a_hundred_of_them() -> None:
    assert len(STATEMENTS) >= 100
