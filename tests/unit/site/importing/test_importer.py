"""Raw files become Parquet beside the others: whole and with the meaning they had, or not at all."""

import gzip
import json
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from datacanal.configuration import Configuration, LakeSection, SiteSection
from datacanal.domain.errors import BadConfiguration, ImportRefused, LakeUnreadable
from datacanal.site.importing.importer import ImportReport, import_file
from datacanal.site.importing.options import ImportOptions

BERKA = Path(__file__).parents[4].parent / "shared" / "data" / "berka"


class Owner:
    """Somebody with a lake and files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lake = folder / "lake"
        self.lake.mkdir()
        section = LakeSection(name="t", url=self.lake.as_uri(), policy=folder / "p.toml")
        self._configuration = Configuration(
            home=folder / "home", file=folder / "datacanal.toml", sites=[SiteSection(name="core", lakes=[section])]
        )

    def write(self, name: str, content: str | bytes) -> Path:
        file = self.folder / name
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        return file

    def imports(self, file: Path, name: str = "d", lake: str = "t", **options: Any) -> ImportReport:
        return import_file(self._configuration, file, lake, name, ImportOptions(**options))

    def takes(self, content: str | bytes, name: str = "f.csv", **options: Any) -> list[tuple[Any, ...]]:
        self.imports(self.write(name, content), **options)
        return self.rows()

    def refuses(self, content: str | bytes, name: str = "f.csv", **options: Any) -> ImportRefused:
        before = self.files()
        with pytest.raises(ImportRefused) as caught:
            self.imports(self.write(name, content), **options)
        assert self.files() == before
        return caught.value

    def files(self) -> list[Path]:
        return sorted(self.lake.rglob("*"))

    def rows(self, name: str = "d") -> list[tuple[Any, ...]]:
        sql = f"FROM read_parquet('{self.lake}/{name}/*.parquet', union_by_name=true)"
        with duckdb.connect() as connection:
            return connection.execute(sql).fetchall()

    def types(self, name: str = "d") -> dict[str, str]:
        sql = f"DESCRIBE FROM read_parquet('{self.lake}/{name}/*.parquet', union_by_name=true)"
        with duckdb.connect() as connection:
            return {row[0]: row[1] for row in connection.execute(sql).fetchall()}


@pytest.fixture
def owner(tmp_path: Path) -> Owner:
    return Owner(tmp_path)


def test_a_plain_csv_becomes_a_dataset(owner: Owner) -> None:
    report = owner.imports(owner.write("f.csv", "id,name\n1,é\n2,支付\n"), "naïve order")
    assert (report.dataset, report.rows, report.is_new) == ("t.naïve order", 2, True)
    assert report.columns == (("id", "BIGINT"), ("name", "VARCHAR"))
    assert owner.rows("naïve order") == [(1, "é"), (2, "支付")]
    assert [file.name for file in owner.lake.iterdir()] == ["naïve order"]


def test_delimiter_quote_escape_and_header_are_as_told(owner: Owner) -> None:
    rows = owner.takes("1|'a|b'|'it\\'s'\n", delimiter="|", quote="'", escape="\\", header=False)
    assert rows == [(1, "a|b", "it's")]


def test_dates_that_look_like_numbers_are_read_by_their_format(owner: Owner) -> None:
    rows = owner.takes("d;n\n930101;1\n981231;2\n", types={"d": "DATE"}, date_format="%y%m%d")
    assert rows == [(date(1993, 1, 1), 1), (date(1998, 12, 31), 2)]


def test_timestamps_have_a_format_of_their_own(owner: Owner) -> None:
    rows = owner.takes("a,t\n1,931107 00:00:01\n", types={"t": "TIMESTAMP"}, timestamp_format="%y%m%d %H:%M:%S")
    assert rows == [(1, datetime.fromisoformat("1993-11-07T00:00:01"))]


def test_dates_are_recognised_by_all_their_values(owner: Owner) -> None:
    assert owner.takes("d,n\n01/02/2020,1.5\n13/02/2020,2\n") == [(date(2020, 2, 1), 1.5), (date(2020, 2, 13), 2.0)]


@pytest.mark.parametrize(
    ("encoding", "word"),
    [("gb18030", "支付宝𠮷"), ("cp1250", "Dvořák"), ("latin-1", "Müller"), ("utf-16", "Ω"), ("utf-8-sig", "ß")],
)
def test_other_encodings_are_read_as_what_they_say(owner: Owner, encoding: str, word: str) -> None:
    content = f"id,name\n1,{word}\n".encode(encoding)
    assert owner.takes(content, encoding=encoding) == [(1, word)]


def test_bytes_of_another_encoding_are_named_by_their_line(owner: Owner) -> None:
    content = b"id,name\n" + b"1,ok\n" * 400_000 + b"2,\xff\xff\n"
    error = owner.refuses(content, encoding="gb18030")
    assert error.data["line"] == 400_002
    assert "ff" in error.detail
    assert "encoding" in error.remedy


def test_utf8_that_is_none_is_named_by_its_line(owner: Owner) -> None:
    error = owner.refuses(b"id,name\n1,ok\n2,\xe9\n", delimiter=",", header=True)
    assert "line 3" in error.detail


def test_an_unknown_encoding_is_refused(owner: Owner) -> None:
    assert "klingon" in owner.refuses("a\n1\n", encoding="klingon").detail


def test_texts_that_mean_null_are_null(owner: Owner) -> None:
    assert owner.takes("a;b\n1;?\n?;x\n;-\n", null=("?", "-"), delimiter=";") == [(1, None), (None, "x"), (None, None)]


def test_a_decimal_comma_is_understood(owner: Owner) -> None:
    assert owner.takes("a;b\n1,5;x\n1000,25;y\n", delimiter=";", decimal=",") == [(1.5, "x"), (1000.25, "y")]


def test_types_are_as_told(owner: Owner) -> None:
    assert owner.takes("a,b\n1.25,7\n", types={"a": "DECIMAL(9,2)", "b": "VARCHAR"}) == [(Decimal("1.25"), "7")]


def test_codes_with_leading_zeros_stay_text_wherever_the_first_one_is(owner: Owner) -> None:
    lines = "".join(f"{number},1\n" for number in range(1, 250_000))
    owner.takes(f"code,n\n{lines}00420,1\n", header=True)
    assert owner.types() == {"code": "VARCHAR", "n": "BIGINT"}


def test_numbers_beyond_sixty_four_bits_stay_exact(owner: Owner) -> None:
    owner.takes("n,m\n12345678901234567890123,1\n")
    assert owner.types()["n"] == "DECIMAL(38,0)"
    assert owner.rows() == [(Decimal("12345678901234567890123"), 1)]


def test_a_bad_row_is_named_and_nothing_is_written(owner: Owner) -> None:
    error = owner.refuses("a,b\n1,2\nx,3\n", types={"a": "BIGINT"})
    assert error.data["line"] == 3
    assert "f.csv" in error.detail
    assert "'a'" in error.detail
    short = owner.refuses("a,b\n1,2\n3\n4,5\n", delimiter=",", header=True)
    assert "line 3" in short.detail


def test_a_row_that_breaks_the_guess_later_is_named(owner: Owner) -> None:
    lines = "1,2\n" * 210_000
    error = owner.refuses(f"a,b\n{lines}n/a,2\n", header=True)
    assert error.data["line"] == 210_002
    assert "--null" in error.remedy


def test_unknown_columns_and_types_are_refused_by_name(owner: Owner) -> None:
    assert "'c'" in owner.refuses("a,b\n1,2\n", types={"c": "BIGINT"}).detail
    assert "a, b" in owner.refuses("a,b\n1,2\n", types={"c": "BIGINT"}).remedy
    assert "'NUMBR'" in owner.refuses("a,b\n1,2\n", types={"a": "NUMBR"}).detail


def test_a_type_that_parquet_cannot_hold_is_refused(owner: Owner) -> None:
    assert "BIT" in owner.refuses("a,b\n101,2\n", types={"a": "BIT"}).detail


@pytest.mark.parametrize("name", ["f.csv.gz", "f.tsv.gz"])
def test_packed_files_are_unpacked_on_the_way(owner: Owner, name: str) -> None:
    assert owner.takes(gzip.compress(b"a,b\n1,x\n"), name) == [(1, "x")]


def test_packed_files_of_another_encoding_are_too(owner: Owner) -> None:
    packed = gzip.compress("a,b\n1,ř\n".encode("cp1250"))
    assert owner.takes(packed, "f.dat", format="csv", compression="gzip", encoding="cp1250") == [(1, "ř")]


def test_a_file_that_is_not_packed_as_told_is_refused(owner: Owner) -> None:
    owner.refuses("a,b\n1,x\n", compression="gzip")
    owner.refuses("a,b\n1,x\n", compression="gzip", encoding="cp1250")


def test_ndjson_keeps_its_nesting_and_late_keys(owner: Owner) -> None:
    lines = [{"a": 1, "n": {"x": [1, 2], "s": "é"}}, *({"a": number} for number in range(30_000)), {"late": True}]
    rows = owner.takes("\n".join(map(json.dumps, lines)), "f.ndjson")
    assert owner.types() == {"a": "BIGINT", "n": "STRUCT(x BIGINT[], s VARCHAR)", "late": "BOOLEAN"}
    assert rows[0] == (1, {"x": [1, 2], "s": "é"}, None)
    assert rows[-1] == (None, None, True)


def test_a_json_array_of_records_is_a_table(owner: Owner) -> None:
    content = '[{"a": 1, "d": "930101"},\n {"a": 2, "d": "930102", "l": [{"z": null}]}]'
    rows = owner.takes(content, "f.json", types={"d": "DATE"}, date_format="%y%m%d")
    assert [row[:2] for row in rows] == [(1, date(1993, 1, 1)), (2, date(1993, 1, 2))]


def test_json_that_does_not_parse_is_named_by_its_line(owner: Owner) -> None:
    error = owner.refuses('{"a": 1}\n{"a": 2\n{"a": 3}\n', "f.ndjson")
    assert error.data["line"] is not None
    assert str(owner.folder) not in str(error.data["reason"])


def test_json_values_of_another_type_are_named_by_their_line(owner: Owner) -> None:
    error = owner.refuses('{"a": 1}\n{"a": "x"}\n', "f.ndjson", types={"a": "BIGINT"})
    assert "line 2" in error.detail


def test_a_second_file_adds_rows_and_may_add_columns(owner: Owner) -> None:
    owner.takes("a,b\n1,x\n")
    report = owner.imports(owner.write("g.csv", "a,c\n2,2020-01-01\n"))
    assert not report.is_new
    assert sorted(owner.rows()) == [(1, "x", None), (2, None, date(2020, 1, 1))]


def test_a_second_file_is_read_with_the_dataset_s_types(owner: Owner) -> None:
    owner.takes("a,b,c\n1.5,x,2020-01-01 10:00:00\n")
    assert owner.takes("a,b,c\n2,7,2021-01-01\n")[-1] == (2.0, "7", datetime.fromisoformat("2021-01-01"))
    assert owner.types() == {"a": "DOUBLE", "b": "VARCHAR", "c": "TIMESTAMP"}


@pytest.mark.parametrize(
    ("first", "second", "column"),
    [
        ("a,b\n1,x\n", "a,b\n1.5,y\n", "'a'"),
        ("a,b\n2020-01-01,x\n", "a,b\n2020-01-01 10:00:00,y\n", "'a'"),
        ("a,b\n2020-01-01,x\n", "a,b\n17,y\n", "'a'"),
    ],
)
def test_a_second_file_of_other_types_is_refused_with_the_remedy(
    owner: Owner, first: str, second: str, column: str
) -> None:
    owner.takes(first)
    error = owner.refuses(second)
    assert column in error.detail
    assert "--type a=" in error.remedy


def test_a_given_type_that_contradicts_the_dataset_is_refused(owner: Owner) -> None:
    owner.takes("a,b\n1,x\n")
    assert "BIGINT" in owner.refuses("a,b\n1,x\n", types={"a": "DOUBLE"}).detail


def test_nested_columns_must_agree_exactly(owner: Owner) -> None:
    owner.takes('{"n": {"x": 1}}\n', "f.ndjson")
    owner.refuses('{"n": {"x": 1, "y": 2}}\n', "f.ndjson")
    owner.takes('{"n": {"x": 2}}\n', "f.ndjson")
    assert len(owner.rows()) == 2


@pytest.mark.parametrize("name", ["", ".hidden", "_staging", "a/b", "..", "k=v", "x" * 300, "a\nb"])
def test_names_that_no_dataset_can_have_are_refused(owner: Owner, name: str) -> None:
    with pytest.raises(ImportRefused):
        owner.imports(owner.write("f.csv", "a\n1\n"), name)
    assert owner.files() == []


def test_a_name_that_differs_only_in_case_is_refused(owner: Owner) -> None:
    owner.imports(owner.write("f.csv", "a,b\n1,2\n"), "Loans")
    with pytest.raises(ImportRefused, match="'Loans'"):
        owner.imports(owner.write("f.csv", "a,b\n1,2\n"), "loans")


def test_partitioned_datasets_are_left_alone(owner: Owner) -> None:
    (owner.lake / "d" / "y=2020").mkdir(parents=True)
    with duckdb.connect() as connection:
        connection.execute(f"COPY (SELECT 1 a) TO '{owner.lake}/d/y=2020/f.parquet'")
    assert "key=value" in owner.refuses("a\n1\n").detail


def test_an_empty_file_is_refused_and_a_header_alone_is_an_empty_table(owner: Owner) -> None:
    owner.refuses("")
    assert owner.takes("a,b\n", header=True, delimiter=",") == []
    assert list(owner.types()) == ["a", "b"]


def test_what_is_not_there_is_named(owner: Owner) -> None:
    with pytest.raises(ImportRefused, match="no such file"):
        owner.imports(owner.folder / "none.csv")
    with pytest.raises(BadConfiguration, match="'elsewhere'"):
        owner.imports(owner.write("f.csv", "a\n1\n"), lake="elsewhere")
    assert "format" in owner.refuses("a\n1\n", "f.dat").remedy
    owner.lake.rmdir()
    with pytest.raises(LakeUnreadable):
        owner.imports(owner.write("f.csv", "a\n1\n"))


@pytest.mark.berka
@pytest.mark.skipif(not BERKA.is_dir(), reason="the Berka data set is not at ../shared/data/berka")
@pytest.mark.parametrize(
    ("name", "rows", "options"),
    [
        ("trans", 49101, {"types": {"date": "DATE"}, "date_format": "%y%m%d"}),
        ("order", 6471, {}),
        (
            "card",
            892,
            {"types": {"issued": "TIMESTAMP"}, "timestamp_format": "%y%m%d %H:%M:%S"},
        ),
        ("loan", 682, {"types": {"date": "DATE"}, "date_format": "%y%m%d"}),
        ("client", 5369, {}),
        ("disp", 5369, {}),
        ("account", 4500, {"types": {"date": "DATE"}, "date_format": "%y%m%d"}),
        ("district", 77, {"null": ("?",)}),
    ],
)
def test_the_files_of_a_real_bank_are_imported(owner: Owner, name: str, rows: int, options: dict[str, Any]) -> None:
    report = owner.imports(BERKA / f"{name}.asc", name, **options)
    assert report.rows == rows
    types = owner.types(name)
    assert types.get("date", "DATE") == "DATE"
    assert types.get("A12", "DOUBLE") == "DOUBLE"
