"""What a snapshot is on disk, whatever the rows are, and what no snapshot is made of."""

import hashlib
import stat
from pathlib import Path

import duckdb
import pytest

from datacanal.domain.errors import BadField
from datacanal.products.building.writing import build
from datacanal.products.manifest import ROW_GROUP_ROWS, Manifest, read_manifest, snapshot_folder
from datacanal.protocol.products import Contract
from datacanal.testing.builds import build_order, built, connection_for

PRICES = """
SELECT printf('%06d.XSHE', i % 300) AS sec_id, DATE '2024-01-01' + (i // 300)::INTEGER AS day, i * 0.5 AS close
FROM range(30000) t(i) ORDER BY hash(i)
"""
BY_SECURITY = Contract(key=["sec_id", "day"], session="day")
BY_DAY = Contract(key=["day", "sec_id"], session="day")
ONE_KEY = Contract(key=["k"])


def rows(file: Path, sql: str = "SELECT *") -> list[tuple[object, ...]]:
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        return connection.execute(f"{sql} FROM read_parquet('{file}')").fetchall()


def refusal(home: Path, select: str, contract: Contract) -> str:
    with pytest.raises(BadField) as caught:
        built(home, select, contract)
    return caught.value.detail


def test_each_layout_holds_every_row_in_its_order(tmp_path: Path) -> None:
    folder = built(tmp_path, PRICES, BY_SECURITY)
    by_key, by_session = rows(folder / "by_key.parquet"), rows(folder / "by_session.parquet")
    assert len(by_key) == 30000
    assert by_key == sorted(by_key)
    assert by_session == sorted(by_key, key=lambda row: (row[1], row[0]))


def test_a_key_that_begins_with_the_session_needs_one_layout(tmp_path: Path) -> None:
    folder = built(tmp_path, PRICES, BY_DAY)
    assert sorted(file.name for file in folder.iterdir()) == ["by_key.parquet", "manifest.json"]


def test_row_groups_are_small(tmp_path: Path) -> None:
    folder = built(tmp_path, PRICES, BY_SECURITY)
    with duckdb.connect() as connection:
        found = connection.execute(
            f"SELECT DISTINCT row_group_id, row_group_num_rows FROM parquet_metadata('{folder}/by_key.parquet')"
        ).fetchall()
    assert sorted(count for _, count in found) == [30000 - ROW_GROUP_ROWS, ROW_GROUP_ROWS]


def test_the_manifest_says_what_the_files_hold(tmp_path: Path) -> None:
    folder = built(tmp_path, PRICES, BY_SECURITY.model_copy(update={"not_null": ["close"]}))
    manifest = read_manifest(folder)
    assert [(each.name, each.type, each.nullable) for each in manifest.columns] == [
        ("sec_id", "VARCHAR", False),
        ("day", "DATE", False),
        ("close", "DECIMAL(21,1)", False),
    ]
    assert manifest.rows == 30000
    assert [each.order for each in manifest.layouts] == [["sec_id", "day"], ["day", "sec_id"]]
    for layout in manifest.layouts:
        content = (folder / layout.file).read_bytes()
        assert (layout.bytes, layout.sha256) == (len(content), hashlib.sha256(content).hexdigest())
    assert [each.session for each in manifest.sessions[:2]] == ["2024-01-01", "2024-01-02"]
    assert {each.rows for each in manifest.sessions} == {300}


def test_the_group_may_read_and_others_may_not(tmp_path: Path) -> None:
    folder = built(tmp_path, PRICES, BY_SECURITY)
    modes = {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()}
    assert (stat.S_IMODE(folder.stat().st_mode), modes) == (0o750, {0o640})


@pytest.mark.parametrize("sparing", [False, True])
@pytest.mark.parametrize("threads", [1, 2])
def test_the_same_rows_give_the_same_bytes(tmp_path: Path, threads: int, sparing: bool) -> None:
    first = read_manifest(built(tmp_path, PRICES, BY_SECURITY))
    order = build_order(tmp_path, f"SELECT * FROM ({PRICES}) ORDER BY close DESC", BY_SECURITY, "snp_2")
    with connection_for(tmp_path, threads) as connection:
        again = build(order, connection, sparing=sparing).manifest
    assert again.layouts == first.layouts


def test_building_a_snapshot_again_gives_the_one_that_is_there(tmp_path: Path) -> None:
    first = read_manifest(built(tmp_path, PRICES, BY_SECURITY))
    order = build_order(tmp_path, "SELECT 1 AS k", ONE_KEY, first.snapshot)
    with connection_for(tmp_path) as connection:
        assert build(order, connection).manifest == first


def test_what_an_earlier_build_left_is_not_part_of_the_snapshot(tmp_path: Path) -> None:
    left = snapshot_folder(tmp_path / "store", "desk.prices", "snp_1.tmp")
    left.mkdir(parents=True)
    (left / "by_session.parquet").write_bytes(b"half a file")
    folder = built(tmp_path, PRICES, BY_DAY)
    assert sorted(file.name for file in folder.iterdir()) == ["by_key.parquet", "manifest.json"]
    assert not left.exists()


# ---------------------------------------------------------------- rows of every kind

TYPES = {
    "decimal": "123456789012345678901234567890.12345678::DECIMAL(38,8)",
    "instant": "TIMESTAMPTZ '2024-02-29 10:00:00.123456+08'",
    "nanoseconds": "TIMESTAMP_NS '2024-02-29 10:00:00.123456789'",
    "time": "TIME '10:00:00.5'",
    "whole": "18446744073709551615::UBIGINT",
    "small": "(-128)::TINYINT",
    "not a number": "'NaN'::DOUBLE",
    "bytes": r"'\x00\xFF'::BLOB",
    "list": "[[1, 2], NULL, []]",
    "struct": "{'a': 1, 'b': {'c': 'x'}}",
    "map": "MAP {'a': 1, 'b': NULL}",
    "uuid": "UUID '00000000-0000-0000-0000-000000000001'",
    "truth": "true",
}


@pytest.mark.parametrize("name", TYPES)
def test_a_value_of_each_type_stays_what_it_was(tmp_path: Path, name: str) -> None:
    folder = built(tmp_path, f"SELECT 1 AS k, {TYPES[name]} AS v UNION ALL SELECT 2, NULL", ONE_KEY)
    kept, given = (
        rows(file, "SELECT typeof(v), v::VARCHAR")
        for file in (folder / "by_key.parquet", tmp_path / "results" / "snp_1.parquet")
    )
    assert kept == sorted(given, key=lambda row: row[1] is None)


@pytest.mark.parametrize("name", ["代码", "it's", 'say "hi"', "a.b", "select", "O'Hara; DROP TABLE x", "k*?[", "🙂"])
def test_any_name_can_be_a_key_and_a_column(tmp_path: Path, name: str) -> None:
    quoted = name.replace('"', '""')
    folder = built(tmp_path, f'SELECT i AS "{quoted}", i AS "值" FROM range(10) t(i)', Contract(key=[name]))
    assert [each.name for each in read_manifest(folder).columns] == [name, "值"]


def test_an_empty_table_is_a_snapshot_of_no_rows(tmp_path: Path) -> None:
    manifest = read_manifest(built(tmp_path, f"SELECT * FROM ({PRICES}) LIMIT 0", BY_SECURITY))
    assert (manifest.rows, manifest.sessions, len(manifest.layouts)) == (0, [], 2)


def test_one_row_is_a_snapshot(tmp_path: Path) -> None:
    manifest = read_manifest(built(tmp_path, f"SELECT * FROM ({PRICES}) LIMIT 1", BY_SECURITY))
    assert (manifest.rows, len(manifest.sessions)) == (1, 1)


def test_a_hundred_columns_keep_their_order(tmp_path: Path) -> None:
    names = [f"c{place}" for place in range(100)]
    select = ", ".join(f"i + {place} AS {name}" for place, name in enumerate(names))
    folder = built(tmp_path, f"SELECT {select} FROM range(10) t(i)", Contract(key=["c99"]))
    assert [each.name for each in read_manifest(folder).columns] == names


SESSIONS = {
    "DATE": "DATE '2024-01-31'",
    "TIMESTAMP": "TIMESTAMP '2024-01-31 15:00:00'",
    "text": "'2024-01-31'",
}


def sessions(manifest: Manifest) -> list[tuple[str, int]]:
    return [(each.session, each.rows) for each in manifest.sessions]


@pytest.mark.parametrize("kind", SESSIONS)
def test_sessions_are_days_whatever_the_column_is(tmp_path: Path, kind: str) -> None:
    folder = built(tmp_path, f"SELECT 1 AS k, {SESSIONS[kind]} AS s", Contract(key=["k"], session="s"))
    assert sessions(read_manifest(folder)) == [("2024-01-31", 1)]


def test_a_row_without_a_day_is_in_no_session(tmp_path: Path) -> None:
    days = "(1, DATE '2024-01-31'), (2, NULL), (3, 'infinity'::DATE)"
    folder = built(tmp_path, f"SELECT * FROM (VALUES {days}) t(k, s)", Contract(key=["k"], session="s"))
    assert (sessions(read_manifest(folder)), read_manifest(folder).rows) == ([("2024-01-31", 1)], 3)


# ---------------------------------------------------------------- what no snapshot is made of


def test_a_key_that_the_result_lacks_is_named_with_the_nearest(tmp_path: Path) -> None:
    said = refusal(tmp_path, "SELECT 1 AS sec_id", Contract(key=["secid"]))
    assert said == "contract.key: the result has no column 'secid'; is 'sec_id' meant?"


def test_a_nested_key_is_refused(tmp_path: Path) -> None:
    said = refusal(tmp_path, "SELECT [1] AS k", ONE_KEY)
    assert said == "contract.key: 'k' is of the type INTEGER[]; a key's columns hold single values"


def test_a_session_that_is_no_date_is_refused(tmp_path: Path) -> None:
    said = refusal(tmp_path, "SELECT 1 AS k, 20240131 AS s", Contract(key=["k"], session="s"))
    assert said == "contract.session: 's' is of the type INTEGER; a DATE is needed (CAST(… AS DATE) in the job)"


def test_text_that_is_no_date_is_no_session(tmp_path: Path) -> None:
    said = refusal(tmp_path, "SELECT 1 AS k, '31.1.2024' AS s", Contract(key=["k"], session="s"))
    assert said == "contract.session: 's' holds text that is no date like 2024-01-31; CAST it AS DATE in the job"
    assert not snapshot_folder(tmp_path / "store", "desk.prices", "snp_1").exists()


def test_too_many_columns_are_refused(tmp_path: Path) -> None:
    select = ", ".join(f"{place} AS c{place}" for place in range(1001))
    said = refusal(tmp_path, f"SELECT {select}", Contract(key=["c0"]))
    assert said == "columns: the result has 1001, and a product at most 1000"


def test_a_column_without_a_name_is_refused(tmp_path: Path) -> None:
    assert "a column is called ' '" in refusal(tmp_path, 'SELECT 1 AS k, 2 AS " "', ONE_KEY)
