"""Which values may stand for a $name, and how they cross the wire."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import numpy as np
import pandas as pd
import pytest

from datacanal.client.parameters import json_params
from datacanal.domain.errors import BadParameter


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        (None, None), (True, True), (7, 7), (10**30, 10**30), (1.5, 1.5), ("Žluťoučký 馬", "Žluťoučký 馬"),
        ([1, "a", None], [1, "a", None]), ((1, 2), [1, 2]), (Decimal("1.10"), "1.10"),
        (date(2024, 2, 29), "2024-02-29"), (datetime(2024, 2, 29, 1, 2, tzinfo=UTC), "2024-02-29T01:02:00+00:00"),
        (time(1, 2, 3), "01:02:03"), (UUID(int=5), "00000000-0000-0000-0000-000000000005"),
        (np.int64(3), 3), (np.float32(0.5), 0.5), (pd.Timestamp("2024-01-01"), "2024-01-01T00:00:00"),
    ],
)  # fmt: skip
def test_a_value_is_sent_so_that_nothing_is_lost(value: object, sent: object) -> None:
    assert json_params({"x": value}) == {"x": sent}


@pytest.mark.parametrize(
    "value",
    [
        math.nan, math.inf, Decimal("NaN"), pd.NaT, pd.NA, np.float64("nan"), b"bytes", Path("a"), {"a": 1}, {1, 2},
        object(), "\ud800", "a\0b", [1, math.nan], 1j,
    ],
)  # fmt: skip
def test_a_value_that_json_cannot_hold_is_refused_by_name(value: object) -> None:
    with pytest.raises(BadParameter, match=r"\$when"):
        json_params({"when": value})


def test_params_must_be_a_mapping_with_text_names() -> None:
    with pytest.raises(BadParameter):
        json_params([("a", 1)])  # type: ignore[arg-type]  # the mistake under test
    with pytest.raises(BadParameter):
        json_params({1: 1})  # type: ignore[dict-item]  # the mistake under test
