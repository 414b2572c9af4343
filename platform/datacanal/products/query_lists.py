"""Lists in a parameter: `a,b,"c,d"`. The quotes are PostgREST's, with `\\"` and `\\\\` inside."""

from __future__ import annotations

import re
from dataclasses import dataclass

_ITEM = re.compile(r'(-?)"((?:[^"\\]|\\.)*)"(?=,|$)|([^,]*)', re.DOTALL)


@dataclass(frozen=True)
class Item:
    """One item; `descending`: a minus stood before its quotes."""

    text: str
    quoted: bool = False
    descending: bool = False


def items(text: str) -> list[Item]:
    """The items of the list. Raises `ValueError` for an empty one (the empty text is `""`) and for open quotes."""
    found: list[Item] = []
    at = 0
    while True:
        matched = _ITEM.match(text, at)
        assert matched is not None, "the second branch matches everything"  # noqa: S101  # for the type checker
        found.append(_item(matched))
        at = matched.end()
        if at == len(text):
            return found
        at += 1


def _item(matched: re.Match[str]) -> Item:
    minus, quoted, plain = matched.groups()
    if quoted is not None:
        return Item(re.sub(r"\\(.)", r"\1", quoted, flags=re.DOTALL), quoted=True, descending=minus == "-")
    if not plain:
        raise ValueError('a value is missing; the empty text is written ""')
    if plain.startswith('"'):
        raise ValueError('the double quotes are not closed where the value ends; inside, a quote is written \\"')
    return Item(plain)
