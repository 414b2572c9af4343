"""Every function of the installed DuckDB is decided about."""

from __future__ import annotations

import duckdb
import pytest

from datacanal.domain.errors import FunctionNotAllowed
from datacanal.planning.function_lists import ALLOWED_SCALARS, ALLOWED_TABLES, REFUSED
from datacanal.planning.functions import (
    allowed_scalars,
    allowed_tables,
    check_function,
    functions_digest,
    is_allowed,
    is_classified,
    refused,
)

_TABLE_KINDS = ("table", "table_macro")


def installed() -> list[tuple[str, str]]:
    return duckdb.connect().execute("SELECT DISTINCT function_name, function_type FROM duckdb_functions()").fetchall()


def test_every_function_of_the_installed_duckdb_is_classified() -> None:
    unknown = [name for name, kind in installed() if not is_classified(name, table=kind in _TABLE_KINDS)]
    assert unknown == []


def test_no_pragma_is_allowed_as_a_table_function() -> None:
    assert [name for name, kind in installed() if kind == "pragma" and is_allowed(name, table=True)] == []


def test_no_name_stands_in_two_groups() -> None:
    groups = [*ALLOWED_SCALARS.values(), *REFUSED.values()]
    names = [name for group in groups for name in group.split()]
    twice = {name for name in names if names.count(name) > 1}
    assert twice == {"histogram"}  # the aggregate is allowed, the table macro of the same name reads tables by name


def test_allowed_table_functions_are_not_refused() -> None:
    assert not set(" ".join(ALLOWED_TABLES.values()).split()) & set(refused())


def test_every_allowed_function_exists_or_is_written_by_the_parser() -> None:
    parser = {"->", "coalesce", "current_time", "current_timestamp", "localtime", "localtimestamp"}
    assert (allowed_scalars() | allowed_tables()) - {name.lower() for name, _ in installed()} == parser


def test_names_are_compared_without_case() -> None:
    check_function("SUM")
    check_function("Generate_Series", table=True)


def test_a_refusal_names_the_nearest_functions() -> None:
    with pytest.raises(FunctionNotAllowed) as refusal:
        check_function("lenght")
    assert "length" in refusal.value.remedy


def test_a_refusal_of_a_known_function_says_why() -> None:
    with pytest.raises(FunctionNotAllowed) as refusal:
        check_function("read_csv", table=True)
    assert "files" in refusal.value.remedy


def test_a_scalar_function_in_from_is_told_where_it_belongs() -> None:
    with pytest.raises(FunctionNotAllowed) as refusal:
        check_function("sum", table=True)
    assert "expression" in refusal.value.remedy


def test_the_digest_is_stable_text() -> None:
    assert functions_digest() == functions_digest()
    assert len(functions_digest()) == 16
