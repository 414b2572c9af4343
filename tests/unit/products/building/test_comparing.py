"""Two snapshots side by side: exact, whatever the rows are, and silent where nothing changed."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from datacanal.domain.errors import BadField
from datacanal.products.building.comparing import compare
from datacanal.products.building.orders import CompareOrder, Comparison
from datacanal.protocol.products import Contract
from datacanal.testing.builds import built, connection_for

PRICES = Contract(key=["sec", "day"], session="day")
ONE_KEY = Contract(key=["k"])


def values(*rows: str, names: str = "sec, day, close") -> str:
    return f"SELECT * REPLACE (day::DATE AS day) FROM (VALUES {', '.join(rows)}) t({names})"


def compared(home: Path, old: str, new: str, contract: Contract, new_contract: Contract | None = None) -> Comparison:
    folders = [
        built(home, old, contract, "snp_old", "1.0.0"),
        built(home, new, new_contract or contract, "snp_new", "1.1.0"),
    ]
    with connection_for(home) as connection:
        return compare(CompareOrder(old=folders[0], new=folders[1]), connection)


def examples(found: Comparison) -> dict[str, list[str]]:
    return {each.what: each.examples for each in found.diff.examples}


def test_what_was_added_removed_and_changed_is_counted_and_shown(tmp_path: Path) -> None:
    found = compared(
        tmp_path,
        values("('a', '2024-01-02', 1.5)", "('b', '2024-01-02', 2.5)", "('a', '2024-01-03', 3.5)"),
        values("('a', '2024-01-02', 1.5)", "('a', '2024-01-03', 4.5)", "('a', '2024-01-04', 5.5)"),
        PRICES,
    )
    diff = found.diff
    assert (diff.old, diff.new, diff.added, diff.removed, diff.changed) == ("1.0.0", "1.1.0", 1, 1, 1)
    assert examples(found) == {
        "values that changed": ["sec = a, day = 2024-01-03: close was 3.5, is 4.5"],
        "rows that are gone": ["sec = b, day = 2024-01-02"],
        "rows that are new": ["sec = a, day = 2024-01-04"],
    }


def test_sessions_whose_values_changed_or_went_are_restated_and_new_rows_are_not(tmp_path: Path) -> None:
    found = compared(
        tmp_path,
        values("('a', '2024-01-02', 1)", "('b', '2024-01-03', 2)", "('b', '2024-01-04', 2)", "('c', '2024-01-05', 2)"),
        values("('a', '2024-01-02', 9)", "('b', '2024-01-04', 7)", "('c', '2024-01-05', 2)", "('d', '2024-01-05', 9)"),
        PRICES,
    )
    assert found.diff.sessions == ["2024-01-02", "2024-01-03", "2024-01-04"]
    assert (found.rows, found.keys) == (3, 2)


def test_a_session_outside_the_key_is_the_old_rows_session(tmp_path: Path) -> None:
    contract = Contract(key=["k"], session="day")
    old = values("(1, '2024-01-02', 1)", names="k, day, v")
    new = values("(1, '2024-01-09', 1)", names="k, day, v")
    found = compared(tmp_path, old, new, contract)
    assert (found.diff.changed, found.diff.sessions, found.rows, found.keys) == (1, ["2024-01-02"], 1, 1)


def test_equal_rows_are_known_without_a_look_at_them(tmp_path: Path) -> None:
    old = built(tmp_path, "SELECT 1 AS k", ONE_KEY, "snp_old")
    new = built(tmp_path, "SELECT 1 AS k", ONE_KEY, "snp_new")
    (old / "by_key.parquet").unlink()
    with connection_for(tmp_path) as connection:
        found = compare(CompareOrder(old=old, new=new), connection)
    assert (found.diff.added, found.diff.removed, found.diff.changed) == (0, 0, 0)


def test_columns_that_came_went_and_changed_type_are_told(tmp_path: Path) -> None:
    old = "SELECT 1 AS k, 2 AS gone, 3 AS same, 4 AS wide"
    found = compared(tmp_path, old, "SELECT 1 AS k, 3 AS same, 4::BIGINT AS wide, 5 AS new", ONE_KEY)
    assert [each.what for each in found.diff.columns] == [
        "the column 'gone' (INTEGER) was dropped",
        "the column 'wide' is BIGINT, and was INTEGER",
        "the column 'new' (INTEGER) was added",
    ]
    assert found.diff.changed == 0


def test_a_key_of_another_type_is_compared_as_text(tmp_path: Path) -> None:
    found = compared(tmp_path, "SELECT 1 AS k, 2 AS v", "SELECT '1' AS k, 3 AS v", ONE_KEY)
    assert examples(found) == {"values that changed": ["k = 1: v was 2, is 3"]}


def test_with_another_key_no_row_is_the_same_one(tmp_path: Path) -> None:
    found = compared(tmp_path, "SELECT 1 AS k, 2 AS v", "SELECT 1 AS k, 2 AS v", ONE_KEY, Contract(key=["v"]))
    assert (found.diff.added, found.diff.removed) == (1, 1)
    assert found.diff.columns[0].what == "the key is v, and was k: no row is the same one"


@pytest.mark.parametrize("twice", ["old", "new", "both"])
def test_rows_that_the_key_does_not_tell_apart_are_no_comparison(tmp_path: Path, twice: str) -> None:
    once, again = "SELECT 1 AS k, 2 AS v", "SELECT 1 AS k, 2 AS v UNION ALL SELECT 1, 3"
    old, new = (again if twice in (side, "both") else once for side in ("old", "new"))
    with pytest.raises(BadField, match=r"k names several rows in 1\.0\.0 or 1\.1\.0"):
        compared(tmp_path, old, f"{new} UNION ALL SELECT 5, 5", ONE_KEY)


NESTED = {
    "a NaN": "'NaN'::DOUBLE",
    "a NaN in a list": "['NaN'::DOUBLE, NULL]",
    "a map": "MAP {'a': 1}",
    "a struct": "{'a': {'b': NULL}}",
    "bytes": r"'\x00'::BLOB",
    "null": "NULL::INTEGER",
}


@pytest.mark.parametrize("name", NESTED)
def test_equal_values_of_any_kind_are_equal(tmp_path: Path, name: str) -> None:
    old = f"SELECT 1 AS k, {NESTED[name]} AS v, 1 AS w"
    found = compared(tmp_path, old, f"SELECT 1 AS k, {NESTED[name]} AS v, 2 AS w", ONE_KEY)
    assert examples(found) == {"values that changed": ["k = 1: w was 1, is 2"]}


def test_names_of_our_own_views_are_only_names_of_columns(tmp_path: Path) -> None:
    names = 'AS there, 2 AS s, 3 AS k0, 4 AS v0, 5 AS "o.k", 6 AS state'
    found = compared(tmp_path, f"SELECT 1 {names}, 7 AS 值", f"SELECT 1 {names}, 8 AS 值", Contract(key=["there"]))
    assert examples(found) == {"values that changed": ["there = 1: 值 was 7, is 8"]}


def test_a_thousand_columns_are_compared(tmp_path: Path) -> None:
    columns = ", ".join(f"{place} AS c{place}" for place in range(999))
    found = compared(tmp_path, f"SELECT {columns}, 1 AS x", f"SELECT {columns}, 2 AS x", Contract(key=["c0"]))
    assert found.diff.changed == 1


Row = tuple[int, int | None, str]
ROW = st.tuples(
    st.integers(0, 6), st.one_of(st.none(), st.integers(0, 2)), st.sampled_from(["NULL", "'NaN'", "0.5", "1.5"])
)
TABLE = st.lists(ROW, max_size=8, unique_by=lambda row: row[0])


def select(rows: list[Row]) -> str:
    lines = [f"({key}, {'NULL' if day is None else f'{day}'}::INTEGER, {value}::DOUBLE)" for key, day, value in rows]
    source = f"(VALUES {', '.join(lines or ['(0, 0::INTEGER, 0::DOUBLE)'])}) t(k, d, v)"
    return f"SELECT k, DATE '2024-01-01' + d AS day, v FROM {source}{'' if rows else ' LIMIT 0'}"


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(old=TABLE, new=TABLE)
def test_it_finds_what_a_comparison_row_by_row_finds(
    tmp_path_factory: pytest.TempPathFactory,
    old: list[tuple[int, int | None, str]],
    new: list[tuple[int, int | None, str]],
) -> None:
    contract = Contract(key=["k"], session="day")
    found = compared(tmp_path_factory.mktemp("pair"), select(old), select(new), contract)
    before, after = {row[0]: row[1:] for row in old}, {row[0]: row[1:] for row in new}
    changed = {key for key in before.keys() & after.keys() if before[key] != after[key]}
    removed = before.keys() - after.keys()
    restated = {key: before[key][0] for key in changed | removed if before[key][0] is not None}
    diff = found.diff
    assert (diff.added, diff.removed, diff.changed) == (len(after.keys() - before.keys()), len(removed), len(changed))
    assert diff.sessions == sorted({f"2024-01-0{1 + day}" for day in restated.values() if day is not None})
    assert (found.rows, found.keys) == (len(restated), len(restated))
