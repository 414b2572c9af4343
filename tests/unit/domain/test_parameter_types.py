"""Types of a function's parameters, their words, and what values they take."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any, Optional

import numpy as np
import pandas as pd
import pytest

from datacanal.domain.parameter_types import read_type, type_of


@pytest.mark.parametrize(
    ("annotation", "words"),
    [
        (int, "int"),
        (float, "float"),
        (str, "str"),
        (bool, "bool"),
        (date, "date"),
        (datetime, "datetime"),
        (Decimal, "Decimal"),
        (list[int], "list[int]"),
        (int | None, "int | None"),
        (Optional[list[date]], "list[date] | None"),  # noqa: UP045  # it is written so in many notebooks
    ],
)
def test_the_words_of_a_type_name_it_again(annotation: Any, words: str) -> None:
    assert str(type_of(annotation)) == words
    assert read_type(words) == type_of(annotation)


@pytest.mark.parametrize("annotation", [dict, list, bytes, int | str, list[list[int]], list[int | None], Any, None])
def test_what_cannot_be_sent_is_no_type(annotation: Any) -> None:
    with pytest.raises(ValueError, match="cannot be sent"):
        type_of(annotation)


@pytest.mark.parametrize("words", ["", "dict", "list[]", "list[list[int]]", "int|None", "int | None | None", "Int"])
def test_other_words_name_no_type(words: str) -> None:
    with pytest.raises(ValueError, match="no type of a parameter"):
        read_type(words)


@pytest.mark.parametrize(
    ("words", "value", "json"),
    [
        ("int", 3, 3),
        ("int", np.int16(3), 3),
        ("float", 1, 1.0),
        ("float", np.float32(0.5), 0.5),
        ("str", "Plzeň", "Plzeň"),
        ("bool", True, True),
        ("date", date(2024, 2, 29), "2024-02-29"),
        ("datetime", datetime(2024, 2, 29, 10), "2024-02-29T10:00:00"),  # noqa: DTZ001  # without a zone on purpose
        ("Decimal", Decimal("1.50"), "1.50"),
        ("Decimal", 7, "7"),
        ("list[int]", (1, 2), [1, 2]),
        ("list[date] | None", None, None),
    ],
)
def test_a_value_of_the_type_becomes_json_of_the_type(words: str, value: Any, json: Any) -> None:
    encoded = read_type(words).encoded(value)
    assert encoded == json
    assert type(encoded) is type(json)
    decoded = read_type(words).decoded(encoded)
    assert decoded == (list(value) if isinstance(value, tuple) else value)


@pytest.mark.parametrize(
    ("words", "value"),
    [
        ("int", True),
        ("int", 1.0),
        ("int", "1"),
        ("int", None),
        ("int", 2**127),
        ("float", float("nan")),
        ("float", True),
        ("str", "\ud800"),
        ("str", "a\0"),
        ("str", b"a"),
        ("bool", 1),
        ("date", datetime(2024, 2, 29)),  # noqa: DTZ001  # without a zone on purpose
        ("date", "2024-02-29"),
        ("datetime", pd.NaT),
        ("datetime", date(2024, 2, 29)),
        ("Decimal", Decimal("inf")),
        ("Decimal", 1.5),
        ("list[int]", "12"),
        ("list[int]", [1, None]),
    ],
)
def test_a_value_of_another_type_is_refused_in_words(words: str, value: Any) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        read_type(words).encoded(value)


@pytest.mark.parametrize(
    ("words", "json"),
    [
        ("date", "2024-02-30"),
        ("date", 3),
        ("datetime", "yesterday"),
        ("Decimal", "1,5"),
        ("Decimal", "NaN"),
        ("Decimal", 1.5),
        ("int", 1.5),
        ("list[bool]", [0]),
        ("list[bool]", {"a": True}),
    ],
)
def test_json_of_another_type_is_refused_in_words(words: str, json: Any) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        read_type(words).check(json)
