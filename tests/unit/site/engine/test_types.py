"""Every DuckDB type goes round through transfer and scratch, Parquet, CSV and JSON, or follows its written rule."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest
from tests.unit.site.engine.conftest import Bench, export_of, open_bench, read_stream

from datacanal.formats.types import NESTED, RULES, name_of
from datacanal.protocol.plan import PlanColumn

DOCUMENT = Path(__file__).parents[4] / "docs" / "types.md"


@dataclass(frozen=True)
class Case:
    """A value and its JSON; `parquet` is the DuckDB type that comes back from Parquet where it is another one."""

    expression: str
    written: Any
    parquet: str | None = None


CASES = [
    Case("true", True),
    Case("(-128)::TINYINT", -128),
    Case("32767::SMALLINT", 32767),
    Case("(-2147483648)::INTEGER", -2147483648),
    Case("255::UTINYINT", 255),
    Case("65535::USMALLINT", 65535),
    Case("4294967295::UINTEGER", 4294967295),
    Case("9007199254740992::BIGINT", 9007199254740992),
    Case("9007199254740993::BIGINT", "9007199254740993"),
    Case("(-9223372036854775808)::BIGINT", "-9223372036854775808"),
    Case("18446744073709551615::UBIGINT", "18446744073709551615"),
    Case("7::HUGEINT", 7, "DECIMAL(38,0)"),
    Case("99999999999999999999999999999999999999::HUGEINT", "9" * 38, "DECIMAL(38,0)"),
    Case("12345678901234567890123::UHUGEINT", "12345678901234567890123", "DECIMAL(38,0)"),
    Case("(repeat('9', 60))::BIGNUM", "9" * 60, "VARCHAR"),
    Case("1.50::DECIMAL(38,10)", "1.5000000000"),
    Case("0.1::FLOAT", 0.1),
    Case("1e300::DOUBLE", 1e300),
    Case("'nan'::DOUBLE", "NaN"),
    Case("'-inf'::DOUBLE", "-Infinity"),
    Case("'inf'::FLOAT", "Infinity"),
    Case("'é\"\n,中'", 'é"\n,中'),
    Case("''", ""),
    Case("' x '", " x "),
    Case("'{\"a\": [1]}'::JSON", '{"a": [1]}', "VARCHAR"),
    Case("'a\\x00\\xFF'::BLOB", "a\\x00\\xFF"),
    Case("'10101'::BIT", "10101", "VARCHAR"),
    Case("'4a30f0ef-65b3-415b-980f-6d696a64e178'::UUID", "4a30f0ef-65b3-415b-980f-6d696a64e178", "VARCHAR"),
    Case("'b'::ENUM('a', 'b')", "b", "VARCHAR"),
    Case("DATE '1492-10-12'", "1492-10-12"),
    Case("DATE 'infinity'", "infinity"),
    Case("TIME '10:00:00.123456'", "10:00:00.123456"),
    Case("TIME_NS '10:00:00.123456789'", "10:00:00.123456789"),
    Case("'10:00:00+02'::TIMETZ", "10:00:00+02", "VARCHAR"),
    Case("TIMESTAMP '2020-01-01 00:00:00.123456'", "2020-01-01 00:00:00.123456"),
    Case("TIMESTAMP 'infinity'", "infinity"),
    Case("TIMESTAMP_S '2020-01-01 00:00:01'", "2020-01-01 00:00:01", "TIMESTAMP"),
    Case("TIMESTAMP_MS '2020-01-01 00:00:01.123'", "2020-01-01 00:00:01.123", "TIMESTAMP"),
    Case("TIMESTAMP_NS '2020-01-01 00:00:01.123456789'", "2020-01-01 00:00:01.123456789"),
    Case("TIMESTAMPTZ '2020-01-01 00:00:00+02'", "2019-12-31 22:00:00+00"),
    Case("TIMESTAMPTZ '-infinity'", "-infinity"),
    Case("'2020-01-01 00:00:01.123456789+00'::TIMESTAMPTZ_NS", "2020-01-01 00:00:01.123456789+00"),
    Case("INTERVAL '3 months -2 days 1 second'", "3 months -2 days 00:00:01", "VARCHAR"),
    Case("'POINT (1 2)'::GEOMETRY", "POINT (1 2)", "VARCHAR"),
    Case("{'a': 9007199254740993}::VARIANT", '{"a":9007199254740993}', "VARCHAR"),
    Case("NULL", None, "INTEGER"),
    Case("{'a': 1, 'b c': [1.5, NULL]}", {"a": 1, "b c": ["1.5", None]}),
    Case("{'h': 1::HUGEINT}", {"h": 1}, "STRUCT(h DECIMAL(38,0))"),
    Case("row(1, 'x')", [1, "x"], "STRUCT(element1 INTEGER, element2 VARCHAR)"),
    Case("[[1, NULL], [], NULL]", [[1, None], [], None]),
    Case("[]::INTEGER[]", []),
    Case("['b', NULL]::ENUM('a', 'b')[]", ["b", None], "VARCHAR[]"),
    Case("[{'e': 'b'::ENUM('a', 'b')}]", [{"e": "b"}], "STRUCT(e VARCHAR)[]"),
    Case("[1, 2]::HUGEINT[2]", [1, 2], "DECIMAL(38,0)[]"),
    Case("[['x'], ['y']]::VARCHAR[1][2]", [["x"], ["y"]], "VARCHAR[][]"),
    Case("MAP {'k': 1::HUGEINT, 'é': NULL}", {"k": 1, "é": None}, "MAP(VARCHAR, DECIMAL(38,0))"),
    Case("MAP {1: row(1, 2)}", {"1": [1, 2]}, "MAP(INTEGER, STRUCT(element1 INTEGER, element2 INTEGER))"),
    Case("MAP {'b'::ENUM('a', 'b'): 1}", {"b": 1}, "MAP(VARCHAR, INTEGER)"),
    Case(
        "union_value(a := 1::HUGEINT)::UNION(a HUGEINT, tag VARCHAR)",
        {"a": 1},
        "STRUCT(tag_ VARCHAR, a DECIMAL(38,0), tag VARCHAR)",
    ),
    Case(
        "[union_value(a := row(1, 2))]",
        [{"a": [1, 2]}],
        "STRUCT(tag VARCHAR, a STRUCT(element1 INTEGER, element2 INTEGER))[]",
    ),
    Case("[union_value(e := 'b'::ENUM('a', 'b'))]", [{"e": "b"}], "STRUCT(tag VARCHAR, e VARCHAR)[]"),
]
BEYOND_DECIMAL = [
    "170141183460469231731687303715884105727::HUGEINT",
    "[340282366920938463463374607431768211455::UHUGEINT]",
]


NUMBERS = range(len(CASES))
ALL = (
    "SELECT " + ", ".join(f"{case.expression} AS v{number}" for number, case in enumerate(CASES))
    + " UNION ALL SELECT " + ", ".join("NULL" for _ in CASES)
)  # fmt: skip
"""One statement with a column per case, and a second row of NULLs: a run of a kernel costs more than a column."""


@pytest.fixture(scope="module")
def judge() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(":memory:") as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(f"CREATE TABLE cases AS {ALL}")
        yield connection


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with open_bench(tmp_path_factory.mktemp("types")) as made:
        yield made


@pytest.fixture(scope="module")
def sent_on(shared: Bench) -> Any:
    """What a consumer reads of a result that was kept and then sent on: each value's text and type."""
    first, columns = shared.keep(ALL, "first.arrow")
    second, text = shared.scratch / "second.arrow", shared.scratch / "text.arrow"
    shared.done(export_of(first, columns, second, "lossless"))
    shown = ", ".join(f"CAST(c{n} AS VARCHAR), typeof(c{n})" for n in NUMBERS)
    names = [PlanColumn(name=f"{part}{n}", type="VARCHAR") for n in NUMBERS for part in ("v", "kind")]
    reading = export_of(second, columns, text, "lossless")
    shared.done(reading.model_copy(update={"sql": f"SELECT {shown} FROM occ0.kept.result", "columns": names}))
    return read_stream(text)


@pytest.fixture(scope="module")
def as_json(shared: Bench) -> Any:
    return json.loads(shared.export(ALL, "json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def as_csv(shared: Bench) -> list[list[str]]:
    with shared.export(ALL, "csv").open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


@pytest.fixture(scope="module")
def as_arrow(shared: Bench) -> Any:
    return read_stream(shared.export(ALL, "arrow"))


@pytest.fixture(scope="module")
def as_parquet(shared: Bench, judge: duckdb.DuckDBPyConnection) -> str:
    judge.execute(f"CREATE TEMP VIEW came AS FROM read_parquet('{shared.export(ALL, 'parquet')}')")
    return "came"


def printed(judge: duckdb.DuckDBPyConnection, relation: str, number: int) -> list[tuple[str | None, str]]:
    return judge.execute(f"SELECT CAST(v{number} AS VARCHAR), typeof(v{number}) FROM {relation}").fetchall()


each_case = pytest.mark.parametrize("number", NUMBERS, ids=[case.expression for case in CASES])


@each_case
def test_a_transfer_gives_value_and_type_back(number: int, sent_on: Any, judge: duckdb.DuckDBPyConnection) -> None:
    got = [(row[f"v{number}"], row[f"kind{number}"]) for row in sent_on.to_pylist()]
    assert got == printed(judge, "cases", number)


@each_case
def test_json_holds_the_value_whole(number: int, as_json: Any) -> None:
    assert [row[f"v{number}"] for row in as_json] == [CASES[number].written, None]


@each_case
def test_csv_holds_the_same_text(number: int, as_csv: list[list[str]]) -> None:
    wanted, field = CASES[number].written, as_csv[1][number]
    if wanted is None:
        assert field == ""
    else:
        assert (field if isinstance(wanted, str) else json.loads(field)) == wanted
    assert as_csv[0][number] == f"v{number}"
    assert as_csv[2][number] == ""


@each_case
def test_parquet_gives_the_value_back_by_its_rule(
    number: int, as_parquet: str, judge: duckdb.DuckDBPyConnection
) -> None:
    case = CASES[number]
    [(wanted, original), _] = printed(judge, "cases", number)
    [(value, kind), (nothing, _)] = printed(judge, as_parquet, number)
    assert (kind, nothing) == (case.parquet or original, None)
    if not isinstance(case.written, dict | list):
        assert value == (case.written if original == "VARIANT" else wanted)


@each_case
def test_public_arrow_needs_no_extension_type(number: int, as_arrow: Any) -> None:
    assert "extension" not in str(as_arrow.schema.field(number).type)
    assert as_arrow.column(number)[1].as_py() is None


def test_csv_tells_null_from_the_empty_string(bench: Bench) -> None:
    path = bench.export("SELECT '' AS a, NULL::VARCHAR AS b, 'x' AS c", "csv")
    assert path.read_text() == '"a","b","c"\n"",,x\n'


@pytest.mark.parametrize("output_format", ["arrow", "parquet"])
@pytest.mark.parametrize("expression", BEYOND_DECIMAL)
def test_an_integer_beyond_38_digits_is_refused_by_name_never_rounded(
    expression: str, output_format: Any, bench: Bench
) -> None:
    kept, columns = bench.keep(f"SELECT {expression} AS total")
    outcome = bench.failed(export_of(kept, columns, bench.scratch / "out", output_format))
    assert outcome.problem.code == "format_cannot_hold"
    assert "'total'" in outcome.problem.detail
    assert not (bench.scratch / "out").exists()


@pytest.mark.parametrize("expression", BEYOND_DECIMAL)
def test_json_holds_what_a_decimal_cannot(expression: str, bench: Bench) -> None:
    [row] = json.loads(bench.export(f"SELECT {expression} AS total", "json").read_text())
    assert re.sub(r"\D", "", str(row["total"])) == re.sub(r"::.*|\D", "", expression)


def test_no_type_of_duckdb_is_without_a_rule(judge: duckdb.DuckDBPyConnection) -> None:
    kinds = {row[0] for row in judge.execute("SELECT DISTINCT logical_type FROM duckdb_types()").fetchall()}
    named = {name.strip('"') for name in RULES} | set(NESTED)
    # Arrow has no form for TYPE, and JSON is an alias that duckdb_types() shows under VARCHAR.
    assert kinds - {"TYPE"} == named - {"JSON"}


def test_every_rule_has_a_case(judge: duckdb.DuckDBPyConnection) -> None:
    seen = {name_of(duckdb.sqltype(kind)) for number in NUMBERS for _, kind in printed(judge, "cases", number)}
    assert seen | {'"NULL"'} == set(RULES) | set(NESTED)


def test_the_document_has_a_row_for_every_rule() -> None:
    rows = re.findall(r"^\| `([^`]+)`", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(rows) == sorted({name.strip('"') for name in RULES} | set(NESTED))
