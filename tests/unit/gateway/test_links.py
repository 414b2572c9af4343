"""A query's link is read back as the very query, whatever its values and columns are called."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datacanal.domain.product_errors import InvalidParameters
from datacanal.gateway.links import query_text
from datacanal.gateway.parameters import number, read_pairs, single, split
from datacanal.products.manifest import Column, Layout, Manifest
from datacanal.products.query import parse_query

TYPES = {
    "id": "BIGINT",
    "day": "DATE",
    "price": "DECIMAL(18,4)",
    "real": "DOUBLE",
    "at": "TIMESTAMP WITH TIME ZONE",
    "local": "TIMESTAMP",
    "clock": "TIME",
    "flag": "BOOLEAN",
    "名字": "VARCHAR",
    "a.b": "VARCHAR",
    "limit": "INTEGER",
    "-odd,\"name\"": "VARCHAR",
    "uuid": "UUID",
}  # fmt: skip
MANIFEST = Manifest(
    product="pub.bars", version="1.0", snapshot="snp_a", created_at=datetime(2026, 1, 1, tzinfo=UTC), rows=1,
    columns=[Column(name=name, type=kind) for name, kind in TYPES.items()], key=["id", "day", "-odd,\"name\""],
    layouts=[Layout(order=["id"], file="f", bytes=1, sha256="")],
)  # fmt: skip
TEXTS = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=12)


def quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


VALUES = {
    "id": st.integers(-(2**63), 2**63 - 1).map(str),
    "day": st.dates(date(1, 1, 1)).map(date.isoformat),
    "price": st.decimals(-1000, 1000, places=4).map(lambda value: format(Decimal(value), "f")),
    "real": st.one_of(
        st.floats(allow_nan=False, allow_infinity=False).map(repr), st.sampled_from(["NaN", "Infinity", "-Infinity"])
    ),
    "at": st.datetimes(timezones=st.just(UTC)).map(datetime.isoformat),
    "local": st.datetimes().map(datetime.isoformat),
    "clock": st.times().map(lambda value: value.isoformat()),
    "名字": TEXTS.map(quoted),
    "a.b": TEXTS.map(quoted),
    "limit": st.integers(-1000, 1000).map(str),
    "-odd,\"name\"": TEXTS.map(quoted),
    "uuid": st.uuids().map(str),
}  # fmt: skip


@st.composite
def asked(draw: st.DrawFn) -> list[tuple[str, str]]:
    names = draw(st.lists(st.sampled_from(sorted(VALUES)), unique=True, max_size=4))
    pairs = []
    for name in names:
        operator = draw(st.sampled_from(["eq", "in", "ne", "gt", "gte", "lt", "lte"]))
        many = operator in ("eq", "in", "ne")
        values = draw(st.lists(VALUES[name], min_size=1, max_size=3 if many else 1))
        pairs.append((f"{name}.{operator}", ",".join(values)))
    if draw(st.booleans()):
        pairs.append(("select", ",".join(quoted(each) for each in draw(st.permutations(sorted(TYPES)))[:3])))
    if draw(st.booleans()):
        pairs.append(("order", draw(st.sampled_from(["-id", "day,-id", '-"-odd,\\"name\\"",id', "id,day"]))))
    return [*pairs, ("limit", str(draw(st.integers(1, 100))))]


@given(asked())
def test_a_link_is_read_back_as_its_query(pairs: list[tuple[str, str]]) -> None:
    query = parse_query(pairs, MANIFEST, 100)
    link = query_text(query, MANIFEST)
    again = parse_query(read_pairs(link.encode()), MANIFEST, 100)
    assert again.canonical == query.canonical
    assert query_text(again, MANIFEST) == link


def test_pairs_are_decoded_as_browsers_encode_them() -> None:
    assert read_pairs(b"a=1%2C2&b=x+y&&c&d=%E8%A1%8C=") == [("a", "1,2"), ("b", "x y"), ("c", ""), ("d", "行=")]


@pytest.mark.parametrize("query", [b"a=%ff", b"%c3%28=1", b"a=\xff", b"&".join([b"a=1"] * 501)])
def test_what_is_no_text_or_far_too_much_is_refused(query: bytes) -> None:
    with pytest.raises(InvalidParameters):
        read_pairs(query)


@pytest.mark.parametrize(
    ("query", "meant"),
    [(b"name.like=%split%", "name.like=%25split%25"), (b"a=5%", "a=5%25"), (b"a%=%41%4", "a%25=%41%254")],
)
def test_a_percent_sign_that_escapes_nothing_is_refused_with_what_was_meant(query: bytes, meant: str) -> None:
    with pytest.raises(InvalidParameters) as refusal:
        read_pairs(query)
    [wrong] = refusal.value.data["invalid_parameters"]
    assert wrong["suggestion"] == meant


def test_a_route_knows_its_parameters_and_each_once() -> None:
    assert single([("q", "a")], ("q", "limit")) == {"q": "a"}
    with pytest.raises(InvalidParameters) as refusal:
        single([("limt", "1"), ("q", "a"), ("q", "b")], ("q", "limit"))
    assert refusal.value.data["invalid_parameters"] == [
        {"field": "limt", "reason": "this parameter is not known; limit, q can be given", "suggestion": "limit"},
        {"field": "q", "reason": "it is given more than once", "suggestion": ""},
    ]
    assert split([("x", "1"), ("q", "2"), ("x", "3")], ("q",)) == ({"q": "2"}, [("x", "1"), ("x", "3")])


@pytest.mark.parametrize("text", ["0", "201", "-1", "1.0", "x", "", "９", "1" * 5000])
def test_a_number_is_a_number_within_its_bounds(text: str) -> None:
    assert number("200", "limit", 50, 200) == 200
    with pytest.raises(InvalidParameters):
        number(text, "limit", 50, 200)
