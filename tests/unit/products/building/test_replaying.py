"""Requests that were answered once, asked of the next version."""

from pathlib import Path

import duckdb
import pytest

from datacanal.products.building.checking import check
from datacanal.products.building.orders import CheckOrder, Replay
from datacanal.products.building.replaying import MOST_REQUESTS, replay
from datacanal.products.building.requests import request_of
from datacanal.products.manifest import read_manifest
from datacanal.products.query import parse_query
from datacanal.protocol.products import Contract, Difference
from datacanal.testing.builds import MADE_AT, built, connection_for

ROWS = "SELECT i AS k, 's' || i % 3 AS sec, i * 2 AS v FROM range(20) t(i)"
CONTRACT = Contract(key=["sec", "k"])


class Clock:
    """Every look at it is a second later."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        self.now_s += 1.0
        return self.now_s


def replayed(home: Path, new: str, *queries: str, old: str = ROWS) -> Replay:
    folders = [built(home, old, CONTRACT, "snp_old"), built(home, new, CONTRACT, "snp_new", "1.1.0")]
    with connection_for(home) as connection:
        return replay(folders[0], folders[1], queries, connection)


def changed(where: str, value: str = "-1") -> str:
    return f"SELECT k, sec, CASE WHEN {where} THEN {value} ELSE v END AS v FROM ({ROWS})"


def test_an_answer_that_changed_is_shown_with_its_rows(tmp_path: Path) -> None:
    found = replayed(tmp_path, changed("k = 4"), "sec=s1&limit=3", "sec=s2")
    assert found.replayed == 2
    assert found.broken == [
        Difference(
            what="sec=s1&limit=3: of 3 rows 0 are gone and 1 changed", examples=["sec = s1, k = 4: v was 8, is -1"]
        )
    ]


def test_a_request_is_shown_as_people_write_it(tmp_path: Path) -> None:
    [difference] = replayed(tmp_path, changed("k = 4"), "sec.in=s1,%E5%B9%B3%E5%AE%89").broken
    assert difference.what.startswith("sec.in=s1,平安: ")


def test_a_change_on_a_later_page_or_in_a_column_not_asked_for_breaks_nothing(tmp_path: Path) -> None:
    assert replayed(tmp_path, changed("k = 10"), "sec=s1&limit=3", "sec=s1&select=k").broken == []


def test_a_column_that_is_gone_is_missed_by_who_asked_for_all_of_them(tmp_path: Path) -> None:
    without = f"SELECT * EXCLUDE (v) FROM ({ROWS}) WHERE k <> 4"
    found = replayed(tmp_path, without, "sec=s2", "sec=s1", "sec=s1&select=k&limit=1", "select=v")
    assert [each.what.partition(": ")[::2] for each in found.broken] == [
        ("sec=s2", "no column 'v' any more"),
        ("sec=s1", "no column 'v' any more; of 7 rows 1 are gone and 0 changed"),
        ("select=v is not understood any more", "select: there is no column 'v'"),
    ]


def test_a_row_that_is_gone_is_shown(tmp_path: Path) -> None:
    found = replayed(tmp_path, f"SELECT * FROM ({ROWS}) WHERE k <> 4", "sec=s1")
    assert found.broken == [
        Difference(what="sec=s1: of 7 rows 1 are gone and 0 changed", examples=["sec = s1, k = 4: gone"])
    ]


def test_a_row_that_the_filter_does_not_find_any_more_is_gone(tmp_path: Path) -> None:
    found = replayed(tmp_path, changed("k = 4"), "v.gte=6&limit=2&sec=s1")
    assert [each.examples for each in found.broken] == [["sec = s1, k = 4: gone"]]


def test_new_rows_that_move_others_to_the_next_page_break_nothing(tmp_path: Path) -> None:
    found = replayed(tmp_path, f"{ROWS} UNION ALL SELECT -1, 's1', 0", "sec=s1&limit=2")
    assert found.broken == []
    assert [each.what for each in found.grown] == ["sec=s1&limit=2: 1 new rows"]


def test_a_request_that_the_new_columns_do_not_have_is_broken(tmp_path: Path) -> None:
    found = replayed(tmp_path, f"SELECT k, sec FROM ({ROWS})", "v=2", "select=k")
    assert [each.what for each in found.broken] == [
        "v=2 is not understood any more: v: there is no such column or parameter"
    ]


def test_a_column_of_another_type_is_compared_as_text(tmp_path: Path) -> None:
    found = replayed(tmp_path, f"SELECT * REPLACE (v::VARCHAR AS v) FROM ({changed('k = 4')})", "sec=s1")
    assert [each.examples for each in found.broken] == [["sec = s1, k = 4: v was 8, is -1"]]


def test_the_same_request_is_asked_once_and_no_more_than_the_most(tmp_path: Path) -> None:
    queries = [f"k={place}" for place in range(MOST_REQUESTS + 5)]
    found = replayed(tmp_path, changed("false"), *queries, *queries)
    assert (found.replayed, found.unasked) == (MOST_REQUESTS, 5)


def test_what_there_was_no_time_for_is_said(tmp_path: Path) -> None:
    folder = built(tmp_path, ROWS, CONTRACT)
    with connection_for(tmp_path) as connection:
        found = replay(folder, folder, ["k=1", "k=2", "k=3"], connection, limit_s=2.5, clock=Clock())
    assert (found.replayed, found.unasked) == (2, 1)


def test_a_changed_answer_holds_the_version_until_somebody_accepts_it(tmp_path: Path) -> None:
    old, new = built(tmp_path, ROWS, CONTRACT), built(tmp_path, changed("k = 4"), CONTRACT, "snp_2")
    order = CheckOrder(folder=new, contract=CONTRACT, now=MADE_AT, against=old, queries=["sec=s1", "sec=s2"])
    with connection_for(tmp_path) as connection:
        found = check(order, connection).checks[-1]
    assert (found.check, found.outcome, found.acceptable) == ("replay", "held", True)
    assert found.says == (
        "1 of 2 recent requests are answered otherwise. "
        "Look at the rows named; accept it where the new values are right, and say why."
    )


NAMES = 'SELECT 1 AS "代码", \'a,"b"\\c\' AS "a.b", NULL::INTEGER AS "limit", 2 AS v'
ASKED = [
    [("代码", "1"), ("order", "-代码")],
    [("a.b", '"a,\\"b\\"\\\\c",x'), ("limit", "7")],
    [("limit.isnull", "true"), ("select", 'v,"a.b"')],
    [("v.ne", "5,6"), ("v.gt", "1"), ("a.b.like", "a%")],
]


@pytest.mark.parametrize("params", ASKED)
def test_a_canonical_text_asks_what_the_request_asked(tmp_path: Path, params: list[tuple[str, str]]) -> None:
    folder = built(tmp_path, NAMES, Contract(key=["代码"]))
    query = parse_query(params, read_manifest(folder), 1000)
    assert request_of(query.canonical, read_manifest(folder)) == query


def test_a_canonical_text_is_replayed(tmp_path: Path) -> None:
    folder = built(tmp_path, NAMES, Contract(key=["代码"]))
    texts = [parse_query(params, read_manifest(folder), 1000).canonical for params in ASKED]
    with connection_for(tmp_path) as connection:
        found = replay(folder, folder, texts, connection)
    assert (found.broken, found.grown, found.replayed) == ([], [], len(ASKED))


def test_another_failure_of_the_engine_is_not_mistaken_for_a_lack_of_time(tmp_path: Path) -> None:
    folder = built(tmp_path, ROWS, CONTRACT)
    (folder / "by_key.parquet").write_bytes(b"PAR1 this is no Parquet file PAR1")
    with connection_for(tmp_path) as connection, pytest.raises(duckdb.Error):
        replay(folder, folder, ["k=1"], connection)


def test_a_request_for_a_session_reads_the_layout_of_sessions(tmp_path: Path) -> None:
    folder = built(tmp_path, f"SELECT *, DATE '2024-01-01' AS day FROM ({ROWS})", Contract(key=["k"], session="day"))
    (folder / "by_key.parquet").unlink()
    with connection_for(tmp_path) as connection:
        assert replay(folder, folder, ["day=2024-01-01"], connection).broken == []
