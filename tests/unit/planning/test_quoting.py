"""What is quoted comes back from DuckDB as it was, whatever it holds."""

from __future__ import annotations

import duckdb
import pytest

from datacanal.planning.quoting import glob_escaped, identifier, literal, literals

AWKWARD = ["plain", 'a "quoted" name', "it's", "'; DROP TABLE t; --", "[*?]", "é中", "\\", " "]


@pytest.mark.parametrize("text", AWKWARD)
def test_names_and_strings_come_back(text: str) -> None:
    with duckdb.connect() as connection:
        relation = connection.sql(f"SELECT {literal(text)} AS {identifier(text)}")
        assert (relation.columns, relation.fetchall()) == ([text], [(text,)])


def test_a_list_of_strings_comes_back() -> None:
    with duckdb.connect() as connection:
        assert connection.sql(f"SELECT {literals(AWKWARD)}").fetchall() == [(AWKWARD,)]


def test_an_escaped_path_matches_itself_alone() -> None:
    with duckdb.connect() as connection:
        (found,) = connection.sql(
            f"SELECT 'a[1]*?.x' GLOB {literal(glob_escaped('a[1]*?.x'))},"
            f" 'a1bc.x' GLOB {literal(glob_escaped('a?bc.x'))}"
        ).fetchall()
    assert found == (True, False)
