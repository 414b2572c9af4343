"""Random statements must be replayable, must bind, must vary, and must have one answer in every order of rows."""

import re
from random import Random

import duckdb
import pytest

from datacanal.testing.comparator import assert_same
from datacanal.testing.oracle import Answer, Oracle
from datacanal.testing.sample import LAKES, TABLES, write_sample_lakes
from datacanal.testing.statements import Statement, random_statement, statement_of

NOW = "2024-05-06T07:08:09.101112+00:00"
STATEMENTS = 400


@pytest.fixture(scope="module")
def statements() -> list[Statement]:
    return [statement_of(seed) for seed in range(STATEMENTS)]


@pytest.fixture(scope="module")
def oracle(tmp_path_factory: pytest.TempPathFactory) -> Oracle:
    return Oracle(write_sample_lakes(tmp_path_factory.mktemp("lakes")), now=NOW)


@pytest.fixture(scope="module")
def shuffled(tmp_path_factory: pytest.TempPathFactory) -> Oracle:
    """The same tables, their rows in another order, read without DuckDB's optimiser."""
    root = tmp_path_factory.mktemp("shuffled")
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for table in TABLES:
            (root / table.lake / table.name).mkdir(parents=True)
            file = root / table.lake / table.name / "all.parquet"
            body = f"SELECT * FROM ({table.sql}) AS t ORDER BY md5(t::VARCHAR)"
            connection.execute(f"COPY ({body}) TO '{file}' (FORMAT parquet)")
    oracle = Oracle({lake: root / lake for lake in LAKES}, now=NOW, threads=2)
    oracle.run("SELECT 1")
    oracle._connection.execute("PRAGMA disable_optimizer")
    return oracle


def answer(oracle: Oracle, statement: Statement) -> Answer | None:
    try:
        return oracle.run(statement.sql, statement.params)
    except duckdb.Error:
        return None


def test_a_seed_gives_its_statement_again() -> None:
    assert [random_statement(Random(seed)) for seed in range(30)] == [statement_of(seed) for seed in range(30)]


def test_nearly_every_statement_binds(oracle: Oracle, statements: list[Statement]) -> None:
    unbound: list[Statement] = []
    for statement in statements:
        try:
            oracle.run(f"EXPLAIN {statement.sql}", statement.params)
        except (duckdb.ParserException, duckdb.BinderException, duckdb.CatalogException):
            unbound.append(statement)
    assert len(unbound) < 0.05 * len(statements), unbound[0]


def test_a_statement_has_one_answer_in_every_order_of_rows(
    oracle: Oracle, shuffled: Oracle, statements: list[Statement]
) -> None:
    for seed, statement in enumerate(statements):
        ours, theirs = answer(oracle, statement), answer(shuffled, statement)
        assert (ours is None) == (theirs is None), f"seed {seed} fails in one order only: {statement}"
        if ours is not None and theirs is not None:
            assert ours.types == theirs.types, f"seed {seed}"
            assert_same(theirs.table, ours.table, statement.ordered_by)


CONSTRUCTS = (
    *("LEFT JOIN", "RIGHT JOIN", "FULL OUTER JOIN", "SEMI JOIN", "ANTI JOIN", "CROSS JOIN", "ASOF", "NATURAL", "USING"),
    *("LATERAL", "unnest(", "VALUES", "PIVOT", "UNPIVOT", "WITH RECURSIVE", "AS MATERIALIZED", "NOT MATERIALIZED"),
    *("EXISTS", "NOT IN (SELECT", "ANY (", "ALL (", "UNION ALL", "INTERSECT", "EXCEPT", "ROLLUP", "CUBE"),
    *("GROUPING SETS", "HAVING", "FILTER (", "OVER (", "QUALIFY", "DISTINCT ON", "SELECT DISTINCT", "LIMIT", "OFFSET"),
    *("ORDER BY ALL", "CASE", "TRY_CAST", "lambda", "COLUMNS(", "EXCLUDE", "REPLACE", "RENAME", "$p", "now()"),
)


def test_every_construct_appears(statements: list[Statement]) -> None:
    text = "\n".join(statement_of(seed).sql for seed in range(3000))
    assert [construct for construct in CONSTRUCTS if construct not in text] == []


def test_both_lakes_and_every_table_are_asked(statements: list[Statement]) -> None:
    across = [s for s in statements if "transactions." in s.sql and "users." in s.sql]
    assert len(across) > 0.25 * len(statements)
    for table in TABLES:
        assert any(re.search(rf"\b{table.name}\b", statement.sql) for statement in statements)


def test_answers_are_mostly_not_empty(oracle: Oracle, statements: list[Statement]) -> None:
    answers = [answer(oracle, statement) for statement in statements]
    assert sum(found is not None and found.table.num_rows > 0 for found in answers) > 0.5 * len(statements)


def test_only_parameters_that_the_text_names_are_given(statements: list[Statement]) -> None:
    for statement in statements:
        assert set(statement.params) == set(re.findall(r"\$(\w+)", statement.sql))
    assert any(statement.params for statement in statements)
