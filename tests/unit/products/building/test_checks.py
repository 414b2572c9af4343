"""Each way to break a contract, and the words of the report for it."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from datacanal.products.building.checking import check
from datacanal.products.building.orders import CheckOrder
from datacanal.protocol.products import Check, CheckName, Contract, Difference, Freshness
from datacanal.testing.builds import built, connection_for

ROWS = "SELECT i AS k, i * 2 AS v, DATE '2026-03-02' + (i % 5)::INTEGER AS day FROM range(10) t(i)"
CONTRACT = Contract(key=["k"], session="day")
SATURDAY = datetime(2026, 3, 7, 12, tzinfo=UTC)


def checks(
    home: Path, new: str, old: str | None = None, contract: Contract = CONTRACT, queries: tuple[str, ...] = (),
    *, major: bool = False, now: datetime = SATURDAY,
) -> dict[CheckName, Check]:  # fmt: skip
    against = None if old is None else built(home, old, CONTRACT, "snp_old", "1.0.0")
    order = CheckOrder(
        folder=built(home, new, contract, "snp_new", "1.1.0"),
        contract=contract,
        now=now,
        against=against,
        major=major,
        queries=list(queries),
    )
    with connection_for(home) as connection:
        return {each.check: each for each in check(order, connection).checks}


def promising(**more: object) -> Contract:
    return Contract.model_validate({**CONTRACT.model_dump(), **more})


def whats(found: Check) -> list[str]:
    return [each.what for each in found.differences]


def test_the_same_rows_again_pass_everything(tmp_path: Path) -> None:
    contract = promising(not_null=["v"], freshness=Freshness(at_most=1))
    found = checks(tmp_path, ROWS, ROWS, contract, ("k=3",))
    assert {name: each.outcome for name, each in found.items()} == {
        "schema": "passed",
        "key": "passed",
        "not_null": "passed",
        "drift": "passed",
        "freshness": "passed",
        "replay": "passed",
    }


def test_where_there_is_nothing_to_compare_with_a_check_says_so(tmp_path: Path) -> None:
    found = checks(tmp_path, ROWS)
    skipped = {name: each.says for name, each in found.items() if each.outcome == "skipped"}
    assert skipped == {
        "schema": "The first version of its major version: its columns are what the next ones keep.",
        "not_null": "The contract names no column that is never null.",
        "drift": "There is no version to compare the number of rows with.",
        "freshness": "The contract does not say how old the data may be.",
        "replay": "There is no version whose answers could be compared.",
    }


# ---------------------------------------------------------------- columns


def test_a_dropped_column_holds_the_version_for_good(tmp_path: Path) -> None:
    found = checks(tmp_path, f"SELECT k, day FROM ({ROWS})", ROWS)["schema"]
    assert (found.outcome, found.acceptable) == ("held", False)
    assert whats(found) == ["the column 'v' (BIGINT) was dropped"]
    assert found.says == (
        "The version has no column 'v' any more, against what readers were promised. "
        "Give them back as they were, or publish a new major version."
    )


def test_a_retyped_column_holds_the_version_for_good(tmp_path: Path) -> None:
    found = checks(tmp_path, f"SELECT * REPLACE (v::VARCHAR AS v) FROM ({ROWS})", ROWS)["schema"]
    assert (found.outcome, found.acceptable) == ("held", False)
    assert whats(found) == ["the column 'v' is VARCHAR, and was BIGINT"]
    assert found.says.startswith("The version has another type of 'v', against what readers were promised.")


def test_columns_may_come_and_change_places(tmp_path: Path) -> None:
    found = checks(tmp_path, f"SELECT v, day, k, 1 AS w FROM ({ROWS})", ROWS)["schema"]
    assert found.outcome == "passed"
    assert found.says == "All 3 columns promised are there with their types; 1 more came."
    assert whats(found) == ["the column 'w' (INTEGER) was added"]


def test_a_new_major_version_may_drop_columns(tmp_path: Path) -> None:
    found = checks(tmp_path, f"SELECT k, day FROM ({ROWS})", ROWS, major=True)["schema"]
    assert found.outcome == "skipped"


def test_the_contracts_own_columns_are_what_is_promised(tmp_path: Path) -> None:
    contract = promising(columns={"k": "BIGINT", "day": "DATE", "v": "DOUBLE"})
    found = checks(tmp_path, ROWS, contract=contract)["schema"]
    assert whats(found) == ["the column 'v' is BIGINT, and was DOUBLE"]


# ---------------------------------------------------------------- rows


def test_a_key_that_names_two_rows_holds_the_version_for_good(tmp_path: Path) -> None:
    found = checks(tmp_path, f"{ROWS} UNION ALL SELECT 3, 0, NULL UNION ALL SELECT 3, 1, NULL", ROWS, queries=("k=3",))
    assert (found["key"].outcome, found["key"].acceptable) == ("held", False)
    assert found["key"].differences == [
        Difference(what="several rows have the same key: 1 such key", examples=["k = 3: 3 rows"])
    ]
    assert found["replay"].outcome == "skipped"


def test_a_null_in_a_key_holds_the_version_for_good(tmp_path: Path) -> None:
    found = checks(tmp_path, f"{ROWS} UNION ALL SELECT NULL, 5, DATE '2026-03-02'")["key"]
    assert (found.outcome, found.acceptable) == ("held", False)
    assert found.differences == [Difference(what="'k' is null in 1 row", examples=["k = NULL"])]
    assert found.says.startswith("k does not name each row once. Make the job's rows unique by it")


def test_a_null_where_none_may_be_holds_the_version_for_good(tmp_path: Path) -> None:
    contract = promising(not_null=["v", "day"])
    found = checks(tmp_path, f"SELECT * REPLACE (nullif(v, 6) AS v) FROM ({ROWS})", contract=contract)["not_null"]
    assert (found.outcome, found.acceptable) == ("held", False)
    assert found.differences == [Difference(what="'v' is null in 1 row", examples=["k = 3"])]
    assert found.says.startswith("The contract promises values in 'v', 'day', and some are null or not there.")


def test_a_column_that_is_never_null_must_be_there(tmp_path: Path) -> None:
    found = checks(tmp_path, ROWS, contract=promising(not_null=["w"]))["not_null"]
    assert (found.outcome, whats(found)) == ("held", ["there is no column 'w'"])


# ---------------------------------------------------------------- numbers and days


def test_half_the_rows_hold_the_version_until_somebody_accepts_it(tmp_path: Path) -> None:
    found = checks(tmp_path, f"{ROWS} LIMIT 5", ROWS)["drift"]
    assert (found.outcome, found.acceptable) == ("held", True)
    assert found.says == (
        "5 rows after 10 in version 1.0.0, -50.0%, where up to 30% are expected. "
        "Look at what the job read, or accept it."
    )


def test_any_number_of_rows_is_right_where_the_contract_says_so(tmp_path: Path) -> None:
    assert checks(tmp_path, f"{ROWS} LIMIT 0", ROWS, promising(drift=None))["drift"].outcome == "skipped"


STALE = "The newest session is 2026-03-06, {found}. See whether the job's inputs arrived, or accept it."
DAYS = {  # (calendar, now): what is found where one is allowed
    (None, "2026-03-07T12:00Z"): None,
    (None, "2026-03-08T12:00Z"): "2 days behind 2026-03-08, where up to 1 are expected",
    ("XSHG", "2026-03-09T01:00Z"): None,
    ("XSHG", "2026-03-09T17:00Z"): "2 sessions of XSHG behind 2026-03-10, where up to 1 are expected",
    ("XSHE", "2026-03-09T15:59Z"): None,
    ("XNYS", "2026-03-10T03:59Z"): None,
}


@pytest.mark.parametrize(("calendar", "now"), DAYS)
def test_a_stale_session_holds_the_version_until_somebody_accepts_it(
    tmp_path: Path, calendar: str | None, now: str
) -> None:
    contract = promising(freshness=Freshness(at_most=1), calendar=calendar)
    found = checks(tmp_path, ROWS, contract=contract, now=datetime.fromisoformat(now))["freshness"]
    expected = DAYS[calendar, now]
    if expected is None:
        assert found.outcome == "passed"
    else:
        assert (found.outcome, found.acceptable) == ("held", True)
        assert found.says == STALE.format(found=expected)


def test_a_session_in_the_future_holds_the_version(tmp_path: Path) -> None:
    contract = promising(freshness=Freshness(at_most=1))
    found = checks(tmp_path, ROWS, contract=contract, now=datetime(2026, 3, 5, tzinfo=UTC))["freshness"]
    assert found.outcome == "held"
    assert found.says.startswith("The newest session is 2026-03-06, and today is 2026-03-05.")


def test_no_session_at_all_is_stale(tmp_path: Path) -> None:
    contract = promising(freshness=Freshness(at_most=1))
    found = checks(tmp_path, f"{ROWS} LIMIT 0", contract=contract)["freshness"]
    assert (found.outcome, found.acceptable) == ("held", True)
    assert found.says.endswith("See whether the job's inputs arrived, or accept it.")


def test_beyond_what_is_known_of_a_calendar_nothing_is_concluded(tmp_path: Path) -> None:
    contract = promising(freshness=Freshness(at_most=1), calendar="XSHG")
    found = checks(tmp_path, ROWS, contract=contract, now=datetime(2100, 1, 1, tzinfo=UTC))["freshness"]
    assert found.outcome == "skipped"
    assert "the operator must update them" in found.says
