"""The oracle reads the lakes as they lie: many files, partitions, columns added later, odd names."""

from pathlib import Path

import duckdb
import pytest

from datacanal.testing.oracle import Oracle

NOW = "2024-05-06T07:08:09.101112+00:00"


def write(query: str, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with duckdb.connect() as connection:
        connection.execute(f"COPY ({query}) TO $file (FORMAT parquet)", {"file": str(file)})


def test_files_are_united_by_name_and_directories_are_columns(tmp_path: Path) -> None:
    write("SELECT 1 AS a", tmp_path / "sales" / "year=2023" / "x.parquet")
    write("SELECT 2 AS a, 'new' AS b", tmp_path / "sales" / "year=2024" / "y.parquet")
    with Oracle({"lake": tmp_path}, now=NOW) as oracle:
        answer = oracle.run("SELECT a, b, year FROM lake.sales ORDER BY a")
    assert answer.table.to_pylist() == [{"a": 1, "b": None, "year": 2023}, {"a": 2, "b": "new", "year": 2024}]
    assert answer.types == ["INTEGER", "VARCHAR", "BIGINT"]


def test_odd_names_of_lakes_datasets_and_files(tmp_path: Path) -> None:
    write("SELECT 1 AS a", tmp_path / "order" / "it's [1]*.parquet")
    with Oracle({"näme": tmp_path}, now=NOW) as oracle:
        answer = oracle.run('SELECT count(*) AS n, sum(a) AS s FROM näme."order"')
    assert answer.table["n"].to_pylist() == [1]
    assert answer.types == ["BIGINT", "HUGEINT"]


def test_a_bare_name_resolves_and_a_folder_without_files_is_no_dataset(tmp_path: Path) -> None:
    write("SELECT 1 AS a", tmp_path / "one" / "t" / "x.parquet")
    write("SELECT 2 AS a", tmp_path / "two" / "u" / "x.parquet")
    (tmp_path / "two" / "nothing").mkdir()
    with Oracle({"one": tmp_path / "one", "two": tmp_path / "two"}, now=NOW) as oracle:
        assert oracle.run("SELECT t.a + u.a AS s FROM t, u").table.to_pylist() == [{"s": 3}]
        with pytest.raises(duckdb.CatalogException):
            oracle.run("SELECT * FROM nothing")


def test_the_clock_stands_and_the_zone_is_utc() -> None:
    with Oracle({}, now=NOW) as oracle:
        answer = oracle.run("SELECT now() = TIMESTAMPTZ '2024-05-06 07:08:09.101112+00' AS same, current_date AS day")
    assert [str(value) for value in answer.table.to_pylist()[0].values()] == ["True", "2024-05-06"]


def test_parameters_are_bound_by_name() -> None:
    with Oracle({}, now=NOW) as oracle:
        assert oracle.run("SELECT $a + 1 AS x", {"a": 41}).table.to_pylist() == [{"x": 42}]
