"""The catalogue against its oracle: plain DuckDB over the same files."""

from pathlib import Path

import duckdb
import pytest
from tests.unit.site.lakes.conftest import only, registry, write

from datacanal.site.lakes.reading import LakeReader


def oracle(lake: Path, hive: bool = False) -> list[tuple[str, str]]:
    rows = (
        duckdb.connect()
        .execute(f"DESCRIBE FROM read_parquet('{lake}/**/*.parquet', union_by_name=true, hive_partitioning={hive})")
        .fetchall()
    )
    return [(row[0], row[1]) for row in rows]


def test_columns_are_the_union_over_all_files_with_the_types_duckdb_gives(lake: Path, reader: LakeReader) -> None:
    write(lake, "p/1.parquet", "SELECT 1::INTEGER id, 'a' AS \"näme\", {'x': 1, 'y': [1.5]} s")
    write(lake, "p/2.parquet", "SELECT 2::BIGINT id, 3.5::DECIMAL(9,2) added, DATE '2020-01-01' d")
    lakes = registry(lake, reader, key=["ID"])
    assert lakes.refresh()
    report = only(lakes)
    assert [(column.name, column.type) for column in report.columns] == oracle(lake)
    assert report.key == ["id"]
    assert report.snapshot is not None
    assert (report.snapshot.files, report.snapshot.rows) == (2, 2)


def test_partition_columns_have_the_types_and_nulls_of_duckdb(lake: Path, reader: LakeReader) -> None:
    for folder in ("y=2020/c=a%2Fb", "y=2021/c=ž", "y=__HIVE_DEFAULT_PARTITION__/c=x"):
        write(lake, f"p/{folder}/1.parquet", "SELECT unnest([1, 2]) id")
    lakes = registry(lake, reader)
    lakes.refresh()
    report = only(lakes)
    assert [(column.name, column.type) for column in report.columns] == oracle(lake, hive=True)
    year = next(column for column in report.columns if column.name == "y")
    assert year.partition
    assert year.statistics is not None
    assert (year.statistics.min, year.statistics.max, year.statistics.null_count) == ("2020", "2021", 2)
    assert year.statistics.distinct_count == 2


def test_statistics_are_given_where_footers_are_exact(lake: Path, reader: LakeReader) -> None:
    write(
        lake,
        "p/1.parquet",
        "SELECT i::INTEGER i, i::DECIMAL(9,2) d, DATE '2020-01-01' + i::INTEGER AS dd, i::DOUBLE f, 'nan'::DOUBLE nan,"
        " repeat('x', i) s, [i] l, NULL::INTEGER n, i::UINTEGER + 4000000000 u, TIMESTAMP '0044-03-15 (BC)' bc"
        " FROM (VALUES (9), (10), (NULL), (100)) t(i)",
    )
    lakes = registry(lake, reader)
    lakes.refresh()
    found = {column.name: column.statistics for column in only(lakes).columns}
    values = {name: (s.min, s.max, s.null_count) for name, s in found.items() if s is not None}
    assert values["i"] == ("9", "100", 1)
    assert values["d"] == ("9.00", "100.00", 1)
    assert values["dd"] == ("2020-01-10", "2020-04-10", 1)
    assert values["f"] == ("9.0", "100.0", 1)
    assert values["nan"] == (None, None, 0)
    assert values["s"] == (None, None, 1)
    assert values["l"][:2] == (None, None)
    assert values["n"] == (None, None, 4)
    assert values["u"] == ("4000000009", "4000000100", 1)
    assert values["bc"][:2] == (None, None)
    assert all(statistics is not None and statistics.compressed_bytes > 0 for statistics in found.values())


def test_a_column_added_later_counts_as_null_in_older_files(lake: Path, reader: LakeReader) -> None:
    write(lake, "p/1.parquet", "SELECT range id FROM range(5)")
    write(lake, "p/2.parquet", "SELECT range id, range added FROM range(3)")
    lakes = registry(lake, reader)
    lakes.refresh()
    added = only(lakes).columns[1].statistics
    assert added is not None
    assert (added.null_count, added.min, added.max) == (5, "0", "2")


def test_a_corrupt_file_is_named_and_the_other_datasets_go_on(lake: Path, reader: LakeReader) -> None:
    write(lake, "good/1.parquet", "SELECT 1 a")
    whole = write(lake, "bad/1.parquet", "SELECT 1 a")
    (lake / "bad" / "2.parquet").write_bytes(whole.read_bytes()[:-10])
    lakes = registry(lake, reader)
    lakes.refresh()
    bad, good = lakes.reports()[1]
    assert good.problem is None
    assert bad.problem is not None
    assert bad.problem.code == "dataset_unreadable"
    assert "bad/2.parquet" in bad.problem.detail
    assert str(lake) not in bad.problem.detail
    (lake / "bad" / "2.parquet").unlink()
    assert lakes.refresh()
    assert lakes.reports()[1][0].problem is None


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1" + b"\xff" * 200 + b"\xff\xff\xff\x7fPAR1"])
def test_hostile_footers_do_no_harm(lake: Path, reader: LakeReader, content: bytes) -> None:
    (lake / "p").mkdir()
    (lake / "p" / "x.parquet").write_bytes(content)
    lakes = registry(lake, reader)
    lakes.refresh()
    problem = only(lakes).problem
    assert problem is not None
    assert "p/x.parquet" in problem.detail


def test_a_folder_without_files_and_mixed_folders_say_so(lake: Path, reader: LakeReader) -> None:
    (lake / "empty").mkdir()
    write(lake, "mixed/k=1/a.parquet", "SELECT 1 a")
    write(lake, "mixed/a.parquet", "SELECT 1 a")
    lakes = registry(lake, reader)
    lakes.refresh()
    empty, mixed = (report.problem for report in lakes.reports()[1])
    assert empty is not None
    assert "no Parquet file" in empty.detail
    assert mixed is not None
    assert "mixed/k=1/a.parquet" in mixed.detail


def test_a_missing_lake_is_reported_and_comes_back(lake: Path, reader: LakeReader) -> None:
    write(lake, "p/1.parquet", "SELECT 1 a")
    lakes = registry(lake, reader)
    lake.rename(lake.with_name("away"))
    assert lakes.refresh()
    assert not lakes.refresh()
    (report,), datasets = lakes.reports()
    assert report.problem is not None
    assert report.problem.code == "lake_unreadable"
    assert datasets == []
    lake.with_name("away").rename(lake)
    assert lakes.refresh()
    assert lakes.reports()[0][0].problem is None


def test_new_files_make_a_new_snapshot_and_the_old_one_stays(lake: Path, reader: LakeReader) -> None:
    write(lake, "p/a[1]*.parquet", "SELECT 1 a")
    lakes = registry(lake, reader)
    lakes.refresh()
    first = only(lakes).snapshot
    assert not lakes.refresh()
    write(lake, "p/2.parquet", "SELECT 2 a")
    assert lakes.refresh()
    second = only(lakes).snapshot
    assert first is not None
    assert second is not None
    assert first.id != second.id
    old = lakes.snapshot(first.id)
    assert old is not None
    assert [file.path for file in old.files] == ["p/a[1]*.parquet"]
    assert lakes.snapshot("snp_none") is None


def test_distinct_counts_are_sketched_once_and_survive_a_restart(lake: Path, reader: LakeReader) -> None:
    write(lake, "p/1.parquet", "SELECT range id, range % 7 g, NULL n FROM range(20000)")
    lakes = registry(lake, reader)
    lakes.refresh()
    assert lakes.sketch_one(reader)
    assert not lakes.sketch_one(reader)
    again = registry(lake, reader)
    again.refresh()
    assert not again.sketch_one(reader)
    counts = {c.name: c.statistics.distinct_count for c in only(again).columns if c.statistics is not None}
    assert counts["g"] == 7
    assert counts["n"] == 0
    assert counts["id"] == pytest.approx(20000, rel=0.2)


def test_a_small_change_keeps_the_counts_until_it_is_sketched_itself(lake: Path, reader: LakeReader) -> None:
    write(lake, "p/1.parquet", "SELECT range id FROM range(100)")
    lakes = registry(lake, reader)
    lakes.refresh()
    lakes.sketch_one(reader)
    write(lake, "p/2.parquet", "SELECT range + 1000 id FROM range(900)")
    lakes.refresh()
    carried = only(lakes).columns[0].statistics
    assert carried is not None
    assert carried.distinct_count == pytest.approx(100, rel=0.2)
    assert lakes.sketch_one(reader)
    sketched = only(lakes).columns[0].statistics
    assert sketched is not None
    assert sketched.distinct_count == pytest.approx(1000, rel=0.2)


def test_the_reader_comes_back_after_it_was_killed(lake: Path) -> None:
    write(lake, "p/1.parquet", "SELECT 1 a")
    reader = LakeReader()
    assert reader.describe([str(lake / "p/1.parquet")], hive=False) == [("a", "INTEGER")]
    reader.close()
    assert reader.describe([str(lake / "p/1.parquet")], hive=False) == [("a", "INTEGER")]
    reader.close()
