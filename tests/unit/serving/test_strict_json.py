"""JSON that two parsers could read differently is refused."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue

from datacanal.domain.errors import BadField, BadRequest
from datacanal.protocol.base import Document
from datacanal.serving.strict_json import loads_strictly, parse_document

texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"))
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner) | st.dictionaries(texts, inner),
    max_leaves=20,
)


class Sample(Document):
    count: int = 0
    ratio: float = 0
    name: str = ""
    anything: JsonValue = None
    inner: Sample | None = None


@given(values)
def test_sound_json_is_read_as_it_is(value: object) -> None:
    assert loads_strictly(json.dumps(value).encode()) == value
    assert loads_strictly(json.dumps(value, ensure_ascii=False).encode()) == value


@given(st.binary(max_size=60))
def test_no_bytes_break_the_parser(body: bytes) -> None:
    with suppress(BadRequest, BadField):
        parse_document(Sample, body)


def test_brackets_inside_texts_do_not_count_as_depth() -> None:
    assert loads_strictly(json.dumps("[" * 500).encode()) == "[" * 500
    assert loads_strictly(b'{"a": "\\"[[[' + b"[" * 200 + b'"}')


def test_a_hundred_levels_are_read_and_one_more_is_not() -> None:
    assert loads_strictly(b"[" * 100 + b"]" * 100)
    with pytest.raises(BadRequest, match="deeper"):
        loads_strictly(b"[" * 101 + b"]" * 101)


def test_a_number_without_fraction_is_an_integer_however_it_is_written() -> None:
    assert parse_document(Sample, b'{"count": 5.0, "inner": {"count": 1e2}}').inner == Sample(count=100)


def test_a_parameter_keeps_the_form_it_was_written_in() -> None:
    kept = parse_document(Sample, b'{"count": 5.0, "anything": [1.0, 1]}').anything
    assert [type(item) for item in kept or []] == [float, int]  # type: ignore[union-attr]  # it is a list


@pytest.mark.parametrize("body", [b'{"count": "5"}', b'{"count": 5.5}', b'{"count": true}', b'{"name": 5}'])
def test_nothing_is_converted_in_silence(body: bytes) -> None:
    with pytest.raises(BadField):
        parse_document(Sample, body)


def test_a_wrong_field_is_named_with_its_path_and_without_its_value() -> None:
    with pytest.raises(BadField) as wrong:
        parse_document(Sample, b'{"inner": {"count": "secret"}}')
    assert wrong.value.detail.startswith("inner.count:")
    assert "secret" not in wrong.value.detail
