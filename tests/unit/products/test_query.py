"""Queries: what is refused and how it is said, and that equal questions have one normal form."""

from __future__ import annotations

import random
from contextlib import suppress
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datacanal.domain.product_errors import InvalidParameters
from datacanal.products.manifest import Column, Layout, Manifest
from datacanal.products.query import parse_query

_TYPES = {
    "sec_id": "VARCHAR", "trade_date": "DATE", "close": "DOUBLE", "half": "FLOAT", "amount": "DECIMAL(10,2)",
    "volume": "BIGINT", "lots": "UTINYINT", "live": "BOOLEAN", "at": "TIMESTAMP", "nanos": "TIMESTAMP_NS",
    "seen": "TIMESTAMP WITH TIME ZONE", "opens": "TIME", "id": "UUID", "raw": "BLOB", "tags": "VARCHAR[]",
    "limit": "INTEGER", "a.gt": "INTEGER", "a": "INTEGER", "名": "VARCHAR", "x,y": "INTEGER", "-z": "INTEGER",
}  # fmt: skip


def manifest() -> Manifest:
    return Manifest(
        product="pub.bars",
        version="1.0.0",
        snapshot="snp_1",
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        columns=[Column(name=name, type=type_, nullable=False) for name, type_ in _TYPES.items()],
        key=["sec_id", "trade_date", "-z"],
        rows=0,
        layouts=[Layout(order=["sec_id", "trade_date", "-z"], file="by_key.parquet", bytes=0, sha256="")],
    )


def canonical(*params: tuple[str, str]) -> str:
    return parse_query(params, manifest(), 1000).canonical


BAD = [
    ("SEC_ID", "a", "no such column", "sec_id"),
    ("secid", "a", "no such column", "sec_id"),
    ("limt", "5", "no such column", "limit"),
    ("zzzzzz", "5", "no such column", ""),
    ("", "5", "no such column", ""),
    ("sec_id.lik", "a", "no operator 'lik'", "sec_id.like"),
    ("secid.gte", "a", "no such column", "sec_id.gte"),
    ("secid.gtee", "a", "no such column", "sec_id.gte"),
    ("sec_id.", "a", "no operator ''", ""),
    ("limit", "0", "from 1 to 1000", "1"),
    ("limit", "1001", "from 1 to 1000", "1000"),
    ("limit", "-1", "from 1 to 1000", "1"),
    ("limit", "1e2", "from 1 to 1000", ""),
    ("limit", "", "from 1 to 1000", ""),
    ("limit", "9" * 5000, "from 1 to 1000", "1000"),
    ("limit", "١", "from 1 to 1000", ""),
    ("select", "", "a value is missing", ""),
    ("select", "close,", "a value is missing", ""),
    ("select", "close,close", "more than once", ""),
    ("select", "clsoe", "no column 'clsoe'", "close"),
    ("order", "close", "not one of the key's columns", ""),
    ("order", "-trade_dat", "not one of the key's columns", "trade_date"),
    ("order", "sec_id,-sec_id", "more than once", ""),
    ("volume", "", "a value is missing", ""),
    ("volume", "1,,2", "a value is missing", ""),
    ("volume", "1.5", "whole number", ""),
    ("volume", "0x10", "whole number", ""),
    ("volume", "1_000", "whole number", ""),
    ("volume", " 1", "whole number", ""),
    ("volume", "١٢", "whole number", ""),
    ("volume", str(2**63), "out of the range", ""),
    ("lots", "-1", "out of the range of UTINYINT, 0 to 255", ""),
    ("lots", "256", "out of the range of UTINYINT, 0 to 255", ""),
    ("volume.gt", "1,2", "takes one value", '"1,2"'),
    ("volume", ",".join(map(str, range(1001))), "at most 1,000", ""),
    ("sec_id", "x" * 70_000, "longer than 65,536", ""),
    ("sec_id", '"a', "not closed", ""),
    ("sec_id", '"a"b', "not closed", ""),
    ("sec_id", "\ud800", "UTF-8", ""),
    ("volume.like", "1%", "like is for texts", ""),
    ("amount", "1.005", "2 digits after the point", ""),
    ("amount", "1e3", "decimal number", ""),
    ("amount", "123456789.00", "out of the range", ""),
    ("amount", "NaN", "decimal number", ""),
    ("close", "1e999", "out of the range", ""),
    ("close", "nan", "a number", ""),
    ("half", "1e39", "out of the range", ""),
    ("live", "True", "true or false", ""),
    ("live", "1", "true or false", ""),
    ("volume.isnull", "yes", "true or false", ""),
    ("trade_date", "2024-02-30", "there is no day 2024-02-30", ""),
    ("trade_date", "20240229", "written 2024-02-29", ""),
    ("trade_date", "2024-2-9", "written 2024-02-29", ""),
    ("at", "2024-01-01T25:00:00", "there is no time 25:00:00", ""),
    ("at", "2024-01-01T00:00:00Z", "without a time zone", ""),
    ("at", "2024-01-01T00:00:00.1234567", "6 digits of a second", ""),
    ("seen", "2024-01-01T00:00:00", "with its time zone", ""),
    ("seen", "2024-01-01T00:00:00 08:00", "written %2B", ""),
    ("seen", "2024-01-01T00:00:00+19:00", "no time zone +19:00", ""),
    ("seen", "0001-01-01T00:00:00+08:00", "range of years", ""),
    ("seen", "2024-01-01", "with its time zone", ""),
    ("opens", "9:30", "written 10:30:00", ""),
    ("opens", "24:00:01", "no time 24:00:01", ""),
    ("opens", "24:00:00.5", "no time 24:00:00", ""),
    ("id", "123e4567", "a UUID is needed", ""),
    ("raw", "a", "type BLOB cannot be filtered", ""),
    ("tags", "a", "nested type VARCHAR[] cannot be filtered", ""),
    ("tags.isnull", "true", "nested type VARCHAR[] cannot be filtered", ""),
    ("snapshot", "snp_1", "no such column or parameter", "snapshot"),
]


@pytest.mark.parametrize(("name", "text", "reason", "suggestion"), BAD)
def test_a_wrong_parameter_is_named_with_its_reason_and_the_nearest_valid_one(
    name: str, text: str, reason: str, suggestion: str
) -> None:
    with pytest.raises(InvalidParameters) as refused:
        canonical((name, text))
    [entry] = refused.value.data["invalid_parameters"]
    assert (entry["field"], entry["suggestion"]) == (name, suggestion)
    assert reason in entry["reason"]


def test_every_wrong_parameter_has_its_own_entry() -> None:
    with pytest.raises(InvalidParameters) as refused:
        canonical(("volume", "x"), ("close.gt", "1"), ("limt", "5"), ("live", "2"))
    entries = refused.value.data["invalid_parameters"]
    assert [entry["field"] for entry in entries] == ["volume", "limt", "live"]
    assert "volume: a whole number (BIGINT) is needed" in refused.value.detail


@pytest.mark.parametrize(
    "twice",
    [
        [("limit", "5"), ("limit", "5")],
        [("select", "close"), ("select", "volume")],
        [("order", "sec_id"), ("order", "trade_date")],
        [("volume", "1"), ("volume", "2")],
        [("volume", "1"), ("volume.eq", "1")],
        [("volume.in", "1,2"), ("volume", "1")],
        [("volume.gt", "1"), ("volume.gt", "2")],
    ],
)
def test_what_is_given_twice_is_refused(twice: list[tuple[str, str]]) -> None:
    with pytest.raises(InvalidParameters, match="more than once"):
        canonical(*twice)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ([("volume", "2,1,1")], [("volume.in", "1,2")]),
        ([("volume.in", "7")], [("volume.eq", "+007")]),
        ([("amount", "1.5")], [("amount", "001.500")]),
        ([("amount", "-0")], [("amount", "0.00")]),
        ([("close", "1")], [("close", "1.0e0")]),
        ([("close", "-0.0")], [("close", "0")]),
        ([("half", "0.1")], [("half", "0.10000000149")]),
        ([("seen", "2024-01-01T08:00:00+08:00")], [("seen", "2024-01-01 00:00:00.000Z")]),
        ([("seen", "2024-01-01T00:00:00+00")], [("seen", "2023-12-31T19:00-0500")]),
        ([("at", "2024-01-01")], [("at", "2024-01-01T00:00:00.000")]),
        ([("opens", "09:30")], [("opens", "09:30:00.0")]),
        ([("opens", "24:00")], [("opens", "24:00:00.000")]),
        ([("id", "123E4567-E89B-12D3-A456-426614174000")], [("id", "123e4567-e89b-12d3-a456-426614174000")]),
        ([("sec_id", '"a"')], [("sec_id", "a")]),
        ([("limit", "100")], []),
        ([("order", "sec_id")], [("order", 'sec_id,trade_date,"-z"')]),
        ([("select", ",".join(n if n != "x,y" else '"x,y"' for n in _TYPES))], []),
    ],
)
def test_equal_questions_have_one_normal_form(one: list[tuple[str, str]], other: list[tuple[str, str]]) -> None:
    assert canonical(*one) == canonical(*other)


_PARAMETERS = st.fixed_dictionaries(
    {},
    optional={
        "sec_id": st.lists(st.sampled_from(["a", "b", "名", '"c,d"', '"\\""']), min_size=1, max_size=5).map(",".join),
        "volume.gte": st.integers(-(2**63), 2**63 - 1).map(str),
        "volume.lt": st.integers(-(2**63), 2**63 - 1).map(str),
        "amount.ne": st.decimals(-1000, 1000, places=2).map(str),
        "trade_date": st.dates().map(str),
        "limit": st.integers(1, 1000).map(str),
        "order": st.sampled_from(["-trade_date", "sec_id", "trade_date,-sec_id"]),
    },
)


@given(_PARAMETERS, st.randoms(use_true_random=False))
def test_the_order_of_parameters_and_values_means_nothing(params: dict[str, str], chance: random.Random) -> None:
    shuffled = list(params.items())
    chance.shuffle(shuffled)
    query = parse_query(shuffled, manifest(), 1000)
    assert query.canonical == canonical(*params.items())
    assert query.digest == parse_query(list(params.items()), manifest(), 1000).digest


@given(_PARAMETERS, _PARAMETERS)
def test_other_values_are_another_question(one: dict[str, str], other: dict[str, str]) -> None:
    filters = [parse_query(list(params.items()), manifest(), 1000) for params in (one, other)]
    assert (filters[0] == filters[1]) == (filters[0].canonical == filters[1].canonical)


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=20), st.text(max_size=20))
def test_no_input_does_anything_but_parse_or_name_what_is_wrong(name: str, text: str) -> None:
    for parameter in (name, f"sec_id.{name}", "seen", "amount", "select", "order", "limit"):
        with suppress(InvalidParameters):
            assert parse_query([(parameter, text)], manifest(), 1000).canonical


def test_a_column_of_a_parameters_name_is_reached_with_its_operator() -> None:
    query = parse_query([("limit.eq", "5"), ("limit", "7")], manifest(), 1000)
    assert (query.limit, query.filters[0].column) == (7, "limit")


def test_a_columns_whole_name_wins_over_an_operator() -> None:
    [found] = parse_query([("a.gt", "5")], manifest(), 1000).filters
    assert (found.column, found.operator) == ("a.gt", "eq")


def test_quotes_reach_columns_with_a_comma_or_a_leading_minus() -> None:
    query = parse_query([("select", '"x,y",名'), ("order", '-"-z",sec_id')], manifest(), 1000)
    assert query.select == ("x,y", "名")
    assert [each.text for each in query.order] == ["--z", "+sec_id", "+trade_date"]


def test_a_quoted_name_with_a_minus_ascends() -> None:
    query = parse_query([("order", '"-z"')], manifest(), 1000)
    assert query.order[0].text == "+-z"


def test_a_limit_is_at_most_what_the_format_allows_even_where_none_is_given() -> None:
    assert parse_query([], manifest(), 10).limit == 10


def test_pages_of_other_sizes_are_of_one_walk() -> None:
    small, large = (parse_query([("limit", limit)], manifest(), 1000) for limit in ("5", "50"))
    assert small.walk == large.walk
    assert small.digest != large.digest
