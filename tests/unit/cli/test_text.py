"""Tables line up in terminal cells, and no text can steer the terminal."""

from __future__ import annotations

import pytest
from rich.cells import cell_len

from datacanal.cli.text import bytes_text, table_lines, visible

WIDE = ["馬", "Žluťoučký kůň", "e\u0301e\u0301", "👩‍👩‍👧 family", "🇨🇿", "한국어", "", "a" * 30, "ก็"]


def test_columns_of_any_script_line_up() -> None:
    lines = table_lines(["name", "end"], [[text, "|"] for text in WIDE])
    assert {cell_len(line[: line.rindex("|")]) for line in lines[2:]} == {32}


def test_cut_columns_line_up_too_and_say_that_they_are_cut() -> None:
    lines = table_lines(["name", "end"], [[text * 9, "|"] for text in WIDE], width=40)
    assert {cell_len(line[: line.rindex("|")]) for line in lines[2:]} == {37}
    assert all(("…" in line) == (cell_len(text * 9) > 35) for text, line in zip(WIDE, lines[2:], strict=True))


def test_the_widest_columns_give_way_first() -> None:
    lines = table_lines(["a", "b", "c"], [["short", "x" * 100, "y" * 50]], width=60)
    assert "short" in lines[2]
    assert cell_len(lines[2]) == 60


def test_numbers_and_names_are_never_cut() -> None:
    lines = table_lines(
        ["id", "n", "t"], [["job_" + "x" * 30, "9" * 30, "t" * 30]], right=[False, True], width=50, firm=1
    )
    assert lines[2] == f"job_{'x' * 30}  {'9' * 30}  ttttttt…"


def test_numbers_stand_to_the_right() -> None:
    assert table_lines(["n"], [["5"], ["1000"]], right=[True])[2:] == ["   5", "1000"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\nb\tc\r", "a\\nb\\tc\\r"), ("\x1b[31mred", "\\x1b[31mred"), ("\x9b31m", "\\x9b31m"), ("\x00", "\\x00"),
        ("\u202eevil", "\\u202eevil"), ("\u2028", "\\u2028"), ("\ud800", "\\ud800"), ("👩‍👧", "👩‍👧"), ("馬", "馬"),
    ],
)  # fmt: skip
def test_what_steers_a_terminal_is_written_out(text: str, shown: str) -> None:
    assert visible(text) == shown


def test_a_message_may_keep_its_lines() -> None:
    assert visible("a\nb\x1b", keep="\n") == "a\nb\\x1b"


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (5 * 10**13, "50.0 TB"), (None, "")]
)
def test_sizes_are_read_easily(size: int | None, text: str) -> None:
    assert bytes_text(size) == text
