"""Constants of a plan equal boundaries of a policy by value and kind, where every cast between keeps the value."""

from __future__ import annotations

from typing import Any

import pytest

from datacanal.planning.lineage.constants import boundary, constant

Json = dict[str, Any]


def value(kind: str, content: Any, **info: Any) -> Json:
    return {
        "expression_class": "BOUND_CONSTANT",
        "value": {"type": {"id": kind, "type_info": info}, "is_null": content is None, "value": content},
    }


def cast(child: Json, kind: str, **info: Any) -> Json:
    return {
        "expression_class": "BOUND_FUNCTION",
        "type": "OPERATOR_CAST",
        "children": [child],
        "return_type": {"id": kind, "type_info": info},
    }


EQUAL = [
    ("1000", value("INTEGER", 1000)),
    ("1000", value("BIGINT", 1000)),
    ("1000.50", value("DECIMAL", 10005, scale=1)),
    ("1000", value("DECIMAL", 1000)),
    ("-0.25", value("DOUBLE", -0.25)),
    ("0.1", value("FLOAT", 0.1)),
    ("1000", cast(value("INTEGER", 1000), "DECIMAL", scale=2)),
    ("1000", cast(value("DECIMAL", 10000, scale=1), "INTEGER")),
    ("0.1", cast(value("DECIMAL", 1, scale=1), "DOUBLE")),
    ("'x'", value("VARCHAR", "x")),
    ("'it''s'", cast(value("VARCHAR", "it's"), "VARCHAR")),
    ("DATE '2024-01-01'", cast(value("VARCHAR", "2024-01-01"), "DATE")),
    ("date'2024-01-01'", cast(value("VARCHAR", "2024-01-01"), "DATE")),
    ("'2024-01-01'", cast(value("VARCHAR", "2024-01-01"), "DATE")),
    ("TIMESTAMP '2024-01-01 10:00:00'", cast(value("VARCHAR", "2024-01-01 10:00:00"), "TIMESTAMP")),
    ("TIMESTAMP '2024-01-01 00:00:00'", cast(value("VARCHAR", "2024-01-01"), "DATE")),
]

DIFFERENT = [
    ("1000", value("INTEGER", 1001)),
    ("1000", value("VARCHAR", "1000")),
    ("'1000'", value("INTEGER", 1000)),
    ("1000", value("INTEGER", None)),
    ("1000", value("HUGEINT", {"upper": 0, "lower": 1000})),
    ("1000", value("DECIMAL", {"upper": 0, "lower": 1000}, scale=0)),
    ("1", value("BOOLEAN", True)),
    ("nan", value("DOUBLE", float("nan"))),
    ("inf", value("DOUBLE", float("inf"))),
    ("1000", cast(value("DECIMAL", 10004, scale=1), "INTEGER")),
    ("1000.1", cast(value("DECIMAL", 100012, scale=2), "DECIMAL", scale=1)),
    ("1000", cast(value("INTEGER", 1000), "VARCHAR")),
    ("1000", cast(value("VARCHAR", "1000"), "INTEGER")),
    ("'2024-01-01'", cast(value("VARCHAR", "2024-1-1"), "DATE")),
    ("'2024-01-01 10:00:00'", cast(value("VARCHAR", "2024-01-01 10:00:00"), "DATE")),
    ("TIMESTAMP '2024-01-01 00:00:00'", cast(value("VARCHAR", "2024-01-01"), "TIMESTAMP")),
    ("DATE '2024-01-01'", cast(value("VARCHAR", "yesterday!"), "DATE")),
    ("DATE '2024-01-01'", cast(cast(value("VARCHAR", "2024-01-01"), "DATE"), "TIMESTAMP")),
    ("DATE 'soon'", cast(value("VARCHAR", "2024-01-01"), "DATE")),
    ("1000", {"expression_class": "BOUND_REF", "index": 0}),
    ("1000", None),
]


@pytest.mark.parametrize(("text", "expression"), EQUAL)
def test_the_same_value_of_the_same_kind_is_the_boundary(text: str, expression: Json) -> None:
    assert constant(expression) in boundary(text)


@pytest.mark.parametrize(("text", "expression"), DIFFERENT)
def test_another_value_or_kind_is_not(text: str, expression: Json | None) -> None:
    assert constant(expression) not in boundary(text)


@pytest.mark.parametrize("text", ["", "now()", "1 + 1", "'a' || 'b'", "DATE", "1; SELECT 2"])
def test_what_is_no_literal_is_no_boundary(text: str) -> None:
    assert boundary(text) == []
