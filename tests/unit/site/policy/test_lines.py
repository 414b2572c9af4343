"""Where keys stand in a TOML file: every way of writing them, and what `tomllib` reads is what is found."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from typing import Any

import pytest

from datacanal.site.policy.lines import key_lines, line_of
from datacanal.site.policy.problems import Key

TEXT = '''# a comment with = and [brackets]
default_class = "public"   # and "quotes" after it

budgets.job.rows = 1
budgets . "job" . bytes = "1MB"

[datasets.p]
rows = """
x = 1 \\
[not.a.table]
"""
note = \'\'\'
y = "'
\'\'\'
readers = [
    "group:a",  # ] not the end

    "group:b",
]
[ datasets . "a.b \\u0041\\"" . columns ]
m = { class = "masked", mask = "year" }
'n' = {class="aggregate",min_group=3,buckets=[1,
2.5, [3]],}
[datasets.'литерал']
key = []
[[grants]]
to = "group:a"
datasets = ["p",
 "q"]
[[grants]]
to = "principal:b"
[grants.inner]
deep = true
[[grants.parts]]
n = 1
[[grants.parts]]
n = 2
[logs]
release = false
when = 2030-01-01 00:00:00
'''

EXPECTED: dict[Key, int] = {
    ("default_class",): 2,
    ("budgets",): 4,
    ("budgets", "job", "rows"): 4,
    ("budgets", "job", "bytes"): 5,
    ("datasets", "p"): 7,
    ("datasets", "p", "rows"): 8,
    ("datasets", "p", "note"): 12,
    ("datasets", "p", "readers"): 15,
    ("datasets", "p", "readers", 0): 16,
    ("datasets", "p", "readers", 1): 18,
    ("datasets", 'a.b A"', "columns"): 20,
    ("datasets", 'a.b A"', "columns", "m", "class"): 21,
    ("datasets", 'a.b A"', "columns", "m", "mask"): 21,
    ("datasets", 'a.b A"', "columns", "n", "min_group"): 22,
    ("datasets", 'a.b A"', "columns", "n", "buckets", 0): 22,
    ("datasets", 'a.b A"', "columns", "n", "buckets", 1): 23,
    ("datasets", 'a.b A"', "columns", "n", "buckets", 2, 0): 23,
    ("datasets", "литерал", "key"): 25,
    ("grants", 0): 26,
    ("grants", 0, "to"): 27,
    ("grants", 0, "datasets", 0): 28,
    ("grants", 0, "datasets", 1): 29,
    ("grants", 1): 30,
    ("grants", 1, "to"): 31,
    ("grants", 1, "inner", "deep"): 33,
    ("grants", 1, "parts", 0, "n"): 35,
    ("grants", 1, "parts", 1, "n"): 37,
    ("logs", "release"): 39,
    ("logs", "when"): 40,
}


def text() -> str:
    """Without the comma at the end of an inline table, which not every reader of TOML takes."""
    return TEXT.replace("[3]],}", "[3]]}")


@pytest.mark.parametrize("key", EXPECTED)
def test_a_key_is_found_on_its_line(key: Key) -> None:
    assert key_lines(text())[key] == EXPECTED[key]


def test_windows_line_ends_change_nothing() -> None:
    assert key_lines(text().replace("\n", "\r\n")) == key_lines(text())


def test_every_key_that_toml_reads_has_a_line() -> None:
    lines = key_lines(text())
    assert [key for key in _keys(tomllib.loads(text()), ()) if key not in lines] == []


def _keys(value: Any, key: Key) -> Iterator[Key]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, inner in items:
        yield (*key, name)
        yield from _keys(inner, (*key, name))


def test_what_is_not_written_is_told_by_what_stands_around_it() -> None:
    lines = key_lines(text())
    assert line_of(lines, ("grants", 1, "expires")) == 30
    assert line_of(lines, ("datasets", "p", "columns", "x", "mask")) == 7
    assert line_of(lines, ("nothing",)) == 1
    assert line_of({}, ()) == 1


@pytest.mark.parametrize("broken", ["a = ", "a = {", "[a", "a b", 'a = "', "= 1", "a = [1", "[a]\nb = 1\n]"])
def test_text_that_is_no_toml_is_read_as_far_as_it_goes(broken: str) -> None:
    assert set(key_lines(broken)) <= {("a",), ("a", "b"), ("a", 0), ("a", 1)}
