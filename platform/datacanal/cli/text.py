"""Text for terminals: nothing that could steer one, and columns that line up whatever the script."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from rich.cells import cell_len, set_cell_size

_STEERING = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_JOINERS = "\u200c\u200d"  # emoji families and Persian words are written with them
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
_GAP = "  "
_NARROWEST_CELLS = 8


def visible(text: str, keep: str = "") -> str:
    """The text with control characters, direction overrides and lone surrogates written out, except those in `keep`."""
    if text.isprintable():
        return text
    return "".join(char if char in keep or not _steers(char) else _written_out(char) for char in text)


def _steers(char: str) -> bool:
    return unicodedata.category(char) in _STEERING and char not in _JOINERS


def _written_out(char: str) -> str:
    return _SHORT.get(char) or (f"\\x{ord(char):02x}" if ord(char) < 256 else f"\\u{ord(char):04x}")


def table_lines(
    names: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    right: Sequence[bool] = (),
    width: int | None = None,
    firm: int = 0,
) -> list[str]:
    """A heading, a rule and the rows, in columns of equal terminal cells.

    `right` says per column whether it is aligned to the right. With `width` (cells) the widest columns are cut, with
    an ellipsis, until the lines fit or every column is as narrow as it may be. Never cut are columns on the right,
    because a number without its end is another number, and the `firm` first ones, which people copy.
    """
    grid = [[visible(cell) for cell in row] for row in (names, *rows)]
    widths = [max(cell_len(row[column]) for row in grid) for column in range(len(names))]
    aligned = [*right, *([False] * (len(names) - len(right)))]
    if width is not None:
        widths = _fitted(widths, width, [is_right or column < firm for column, is_right in enumerate(aligned)])
    lines = [_GAP.join(_cell(*parts) for parts in zip(row, widths, aligned, strict=True)).rstrip() for row in grid]
    return [lines[0], _GAP.join("─" * cells for cells in widths), *lines[1:]]


def _fitted(widths: list[int], width: int, is_firm: list[bool]) -> list[int]:
    fitted = list(widths)
    soft = [column for column, firm in enumerate(is_firm) if not firm]
    excess = sum(fitted) + len(_GAP) * (len(fitted) - 1) - width
    while excess > 0 and (cuttable := [column for column in soft if fitted[column] > _NARROWEST_CELLS]):
        widest = max(cuttable, key=fitted.__getitem__)
        next_width = max([fitted[column] for column in cuttable if fitted[column] < fitted[widest]], default=0)
        cut = min(excess, fitted[widest] - max(next_width, _NARROWEST_CELLS))
        fitted[widest] -= cut
        excess -= cut
    return fitted


def _cell(text: str, cells: int, is_right: bool) -> str:
    taken = cell_len(text)
    if taken > cells:
        return set_cell_size(text, cells - 1) + "…"
    padding = " " * (cells - taken)
    return padding + text if is_right else text + padding


def bytes_text(size: int | None) -> str:
    """`12.3 MB`; units of a thousand."""
    if size is None:
        return ""
    amount = float(size)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} TB"
