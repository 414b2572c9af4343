"""Constants that a cast takes as they are, and numbers that a type holds."""

from __future__ import annotations

from typing import Any

import pytest

from datacanal.planning.constants import constant_fits, decimal_holds


def decimal(width: int, scale: int) -> dict[str, Any]:
    return {"id": "DECIMAL", "type_info": {"width": width, "scale": scale}}


@pytest.mark.parametrize(
    ("source", "value", "target", "fits"),
    [
        ("VARCHAR", "2024-02-29", {"id": "DATE"}, True),
        ("VARCHAR", "2023-02-29", {"id": "DATE"}, False),
        ("VARCHAR", "abc", {"id": "DATE"}, False),
        ("VARCHAR", "2024-02-29 10:00:00.5", {"id": "TIMESTAMP"}, True),
        ("VARCHAR", "2024-02-29 25:00:00", {"id": "TIMESTAMP"}, False),
        ("VARCHAR", "gold", {"id": "ENUM", "type_info": {"values": ["basic", "gold"]}}, True),
        ("VARCHAR", "lead", {"id": "ENUM", "type_info": {"values": ["basic", "gold"]}}, False),
        ("VARCHAR", "12", {"id": "INTEGER"}, False),
        ("VARCHAR", "12", {"id": "VARCHAR"}, True),
        ("INTEGER", 127, {"id": "TINYINT"}, True),
        ("INTEGER", 128, {"id": "TINYINT"}, False),
        ("INTEGER", 99, decimal(4, 2), True),
        ("INTEGER", 100, decimal(4, 2), False),
        ("INTEGER", 3, {"id": "DOUBLE"}, True),
        ("INTEGER", 3, {"id": "DATE"}, False),
        ("BOOLEAN", True, {"id": "INTEGER"}, False),
        ("INTERVAL", {"months": 1}, {"id": "VARCHAR"}, False),
    ],
)
def test_only_a_constant_that_can_be_cast_fits(source: str, value: Any, target: dict[str, Any], fits: bool) -> None:
    assert constant_fits({"type": {"id": source}, "is_null": False, "value": value}, target) is fits


def test_a_decimal_constant_keeps_its_digits() -> None:
    assert constant_fits({"type": decimal(3, 1), "value": 15}, decimal(4, 2))
    assert not constant_fits({"type": decimal(3, 2), "value": 155}, decimal(4, 1))
    assert not constant_fits({"type": decimal(3, 1), "value": 15}, {"id": "INTEGER"})


def test_null_fits_everywhere() -> None:
    assert constant_fits({"type": {"id": "VARCHAR"}, "is_null": True}, {"id": "DATE"})


@pytest.mark.parametrize(
    ("source", "target", "holds"),
    [
        ({"id": "SMALLINT"}, decimal(7, 2), True),
        ({"id": "SMALLINT"}, decimal(6, 2), False),
        (decimal(12, 2), {"id": "DOUBLE"}, True),
        (decimal(12, 2), decimal(14, 4), True),
        (decimal(12, 2), decimal(13, 4), False),
        ({"id": "VARCHAR"}, {"id": "DOUBLE"}, False),
        ({"id": "BIGINT"}, {"id": "INTEGER"}, False),
    ],
)
def test_a_type_holds_another(source: dict[str, Any], target: dict[str, Any], holds: bool) -> None:
    assert decimal_holds(source, target) is holds
