"""Row filters are the same condition wherever they are read, and know all that is not the same every time."""

import duckdb
import pytest

from datacanal.planning.binding import NamedType
from datacanal.planning.functions import allowed_scalars
from datacanal.site.policy.row_filters import VOLATILE, FilterRefused, RowFilters


def test_every_allowed_function_that_is_not_the_same_every_time_is_known_as_volatile() -> None:
    with duckdb.connect() as connection:
        found = connection.execute(
            "SELECT function_name FROM duckdb_functions() WHERE stability IS DISTINCT FROM 'CONSISTENT'"
            " AND function_type = 'scalar'"
        ).fetchall()
    assert {name for (name,) in found if name in allowed_scalars()} <= VOLATILE


def test_a_filter_is_printed_so_that_it_reads_back_as_itself() -> None:
    filters = RowFilters()
    for text in (
        "a > 1 OR b = 'x'",
        "NOT (a IN (1, 2))",
        "s.city = 'Brno' AND list_contains(l, 3)",
        '"or""der" IS NULL',
    ):
        assert filters.read(filters.read(text)) == filters.read(text)


@pytest.mark.parametrize("name", ["age", "user", "today", "random", "error"])
def test_a_column_may_be_called_like_a_function_of_the_clock(name: str) -> None:
    assert RowFilters().fit(f"{name} > 1", "p", [NamedType(name=name, type="INTEGER")])


@pytest.mark.parametrize("text", ["user = 'x'", "CURRENT_USER = 'x'", "a < Current_Date", "a < localtimestamp"])
def test_a_word_that_is_no_column_is_taken_for_what_duckdb_takes_it(text: str) -> None:
    with pytest.raises(FilterRefused, match="clock, chance or the session"):
        RowFilters().fit(text, "p", [NamedType(name="a", type="DATE")])


@pytest.mark.parametrize("name", ["p", "payments 2020", 'a"b', "select", "ě"])
def test_a_filter_may_name_its_own_dataset_whatever_it_is_called(name: str) -> None:
    quoted = '"' + name.replace('"', '""') + '"'
    columns = [NamedType(name="a", type="INTEGER")]
    assert RowFilters().fit(f"{quoted}.a > 1", name, columns)
