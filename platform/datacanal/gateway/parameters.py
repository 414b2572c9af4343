"""The parameters of an address, read strictly: what a route does not know is an error that names it."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from difflib import get_close_matches
from urllib.parse import unquote_to_bytes

from datacanal.domain.product_errors import InvalidParameter, InvalidParameters

Pairs = list[tuple[str, str]]
_MOST = 500
_LONE_PERCENT = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_LONGEST_SUGGESTION = 500


def read_pairs(query: bytes) -> Pairs:
    """Names and values in their order. Raises `InvalidParameters` where they are not well formed, or far too many."""
    parts = [part for part in query.split(b"&") if part]
    if len(parts) > _MOST:
        raise wrong("parameters", f"there are {len(parts)} of them, more than {_MOST}")
    return [_pair(part) for part in parts]


def _pair(part: bytes) -> tuple[str, str]:
    name, _, value = part.partition(b"=")
    field = name[:100].decode("ascii", "replace")
    if _LONE_PERCENT.search(part):
        meant = _LONE_PERCENT.sub(b"%25", part)[:_LONGEST_SUGGESTION].decode("ascii", "replace")
        raise wrong(field, "a % in an address is written %25", meant)
    try:
        return _text(name), _text(value)
    except UnicodeDecodeError:
        raise wrong(field, "what it says is not UTF-8") from None


def _text(raw: bytes) -> str:
    if b"%" not in raw and b"+" not in raw:
        return raw.decode()
    return unquote_to_bytes(raw.replace(b"+", b" ")).decode()


def single(pairs: Sequence[tuple[str, str]], known: Collection[str]) -> dict[str, str]:
    """The parameters of a route that knows these names, each given once. Raises `InvalidParameters`."""
    invalid: list[InvalidParameter] = []
    given: dict[str, str] = {}
    for name, value in pairs:
        if name not in known:
            invalid.append(_unknown(name, known))
        elif name in given:
            invalid.append(InvalidParameter(field=name, reason="it is given more than once", suggestion=""))
        given[name] = value
    if invalid:
        raise InvalidParameters(invalid)
    return given


def split(pairs: Sequence[tuple[str, str]], own: Collection[str]) -> tuple[dict[str, str], Pairs]:
    """The parameters of these names, each given once, and all the others."""
    mine = single([pair for pair in pairs if pair[0] in own], own)
    return mine, [pair for pair in pairs if pair[0] not in own]


def number(given: str | None, field: str, default: int, most: int) -> int:
    """A whole number from 1 to `most`. Raises `InvalidParameters`."""
    if given is None:
        return default
    if not (given.isascii() and given.isdigit()) or len(given) > len(str(most)) or not 1 <= int(given) <= most:
        raise wrong(field, f"a whole number from 1 to {most} is needed", str(default))
    return int(given)


def wrong(field: str, reason: str, suggestion: str = "") -> InvalidParameters:
    """The error about one parameter."""
    return InvalidParameters([InvalidParameter(field=field[:100], reason=reason, suggestion=suggestion)])


def _unknown(name: str, known: Collection[str]) -> InvalidParameter:
    near = get_close_matches(name[:100], sorted(known), 1)
    reason = f"this parameter is not known; {', '.join(sorted(known))} can be given" if known else "there is none here"
    return InvalidParameter(field=name[:100], reason=reason, suggestion=near[0] if near else "")
