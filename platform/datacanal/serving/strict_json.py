"""JSON as it should be: what two parsers could read differently is refused."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable
from typing import Any, NoReturn, TypeVar

from pydantic import BaseModel, ValidationError

from datacanal.domain.errors import BadField, BadRequest
from datacanal.protocol.wrong import reason_of

_MAX_DEPTH = 100
_STRING_OR_BRACKET = re.compile(r'"(?:[^"\\]|\\.)*"?|[\[\]{}]', re.DOTALL)
_SURROGATE = re.compile("[\ud800-\udfff]")

M = TypeVar("M", bound=BaseModel)


def parse_document(model: type[M], body: bytes) -> M:
    """The body as a document. Raises `BadRequest` for JSON that is not sound, `BadField` naming a field that is not."""
    value = loads_strictly(body)
    try:
        return model.model_validate_json(body, strict=True)
    except ValidationError as error:
        if not _made_integers(value, error):
            raise field_error(error) from None
    return parse_document(model, json.dumps(value).encode())


def _made_integers(value: Any, error: ValidationError) -> bool:
    """Write 5.0 as 5 where an integer belongs, for in JSON they are the same; whether anything was rewritten."""
    made = False
    for item in error.errors(include_url=False, include_context=False):
        if item["type"] == "int_type" and isinstance(item["input"], float) and item["input"].is_integer():
            made = _replaced(value, list(item["loc"]), int(item["input"])) or made
    return made


def _replaced(value: Any, path: list[Any], number: int) -> bool:
    """Put the number where the path leads; names of union members, which are no keys, are passed over."""
    *way, last = path
    for key in way:
        if (isinstance(value, dict) and key in value) or (isinstance(value, list) and isinstance(key, int)):
            value = value[key]
    fits = isinstance(value, dict | list) and (last in value if isinstance(value, dict) else isinstance(last, int))
    if fits:
        value[last] = number
    return fits


def loads_strictly(body: bytes) -> Any:
    """The value. Refuses NaN and infinities, duplicate keys, NUL, lone surrogates, depth over 100, invalid UTF-8."""
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadRequest(reason=f"the body is not UTF-8 (byte {error.start})") from None
    _check_depth(text)
    try:
        value = json.loads(
            text, object_pairs_hook=_unique, parse_constant=_refuse_constant, parse_float=_finite, parse_int=int
        )
    except json.JSONDecodeError as error:
        raise BadRequest(reason=f"the body is not JSON: {error.msg} (character {error.pos})") from None
    except ValueError:
        raise BadRequest(reason="the body holds a number with too many digits") from None
    _check_texts(value)
    return value


def field_error(error: ValidationError) -> BadField:
    """The first thing that is wrong, with the path to it. The value is not repeated."""
    first = error.errors(include_url=False, include_input=False)[0]
    field = ".".join(str(part) for part in first["loc"]) or "body"
    if first["type"] == "extra_forbidden":
        return BadField(field=field, reason="this field is not known")
    return BadField(field=field, reason=reason_of(first))


def _check_depth(text: str) -> None:
    depth = 0
    for match in _STRING_OR_BRACKET.finditer(text):
        if match[0] in "[{":
            depth += 1
        elif match[0] in "]}":
            depth -= 1
        if depth > _MAX_DEPTH:
            raise BadRequest(reason=f"the body nests deeper than {_MAX_DEPTH} levels")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise BadRequest(reason=f"the key {_printable(twice)} stands twice in one object")
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise BadRequest(reason=f"{name} is not JSON")


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise BadRequest(reason="the body holds a number out of range")
    return value


def _check_texts(value: Any) -> None:
    for text in _texts(value):
        if "\0" in text:
            raise BadRequest(reason="the body holds a NUL character")
        if _SURROGATE.search(text):
            raise BadRequest(reason="the body holds a lone surrogate (half of a character)")


def _texts(value: Any) -> Iterable[str]:
    match value:
        case str():
            yield value
        case dict():
            yield from value
            for item in value.values():
                yield from _texts(item)
        case list():
            for item in value:
                yield from _texts(item)


def _printable(text: str) -> str:
    return ascii(text[:50])
