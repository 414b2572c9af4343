"""Hostile and mistaken statements are refused before anything runs, each for its own reason."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from datacanal.domain.errors import DatacanalError, Kind

_LINES = (Path(__file__).parent / "hostile.txt").read_text(encoding="utf-8").splitlines()
STATEMENTS = [line.split(" ", 1) for line in _LINES if line and not line.startswith("#")]


@pytest.mark.parametrize(("code", "sql"), STATEMENTS)
def test_a_hostile_statement_is_refused_for_the_right_reason(bench: Any, code: str, sql: str) -> None:
    with pytest.raises(DatacanalError) as refusal:
        bench.plan(sql)
    assert refusal.value.code == code
    assert refusal.value.kind is Kind.USER
    assert "unknown)" not in refusal.value.detail + refusal.value.remedy
    assert "occ0" not in refusal.value.detail or "occ0" in sql


def test_there_are_at_least_a_hundred_and_fifty_of_them() -> None:
    assert len(STATEMENTS) >= 150
