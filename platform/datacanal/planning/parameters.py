"""Parameters of a statement: `$name`, each given once, with a plain value."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from datacanal.domain.errors import BadParameter
from datacanal.planning.binding import Tree
from datacanal.planning.tree_walk import objects

_MAX_NESTING = 8
_LARGEST = 2**127 - 1


def check_parameters(tree: Tree, params: Mapping[str, Any]) -> None:
    """Names given and used must agree (letters' case does not matter), values be what DuckDB can take.

    Raises `BadParameter` naming the first that is wrong.
    """
    used = {name.lower(): name for name in used_parameters(tree)}
    given = {name.lower(): name for name in params}
    if len(given) < len(params):
        raise BadParameter(name=sorted(params)[0], reason="it is given twice, in different spellings")
    for key, name in sorted(used.items()):
        if key not in given:
            raise BadParameter(name=name, reason="the statement uses it, but it has no value")
    for key, name in sorted(given.items()):
        if key not in used:
            raise BadParameter(name=name, reason="it has a value, but the statement does not use it")
        _check_value(name, params[name], 0)


def used_parameters(tree: Tree) -> Iterator[str]:
    """Every `$name` of the statement, as often as it is written."""
    return (str(node["identifier"]) for node in objects(tree.get("statements")) if node.get("class") == "PARAMETER")


def _check_value(name: str, value: object, depth: int) -> None:
    if depth > _MAX_NESTING:
        raise BadParameter(name=name, reason="its lists nest too deep")
    match value:
        case None | bool():
            return
        case int() if abs(value) <= _LARGEST:
            return
        case int():
            raise BadParameter(name=name, reason="the number does not fit 128 bits")
        case float() if math.isfinite(value):
            return
        case float():
            raise BadParameter(name=name, reason="the number is not finite")
        case str():
            _check_text(name, value)
        case list():
            for item in value:
                _check_value(name, item, depth + 1)
        case _:
            raise BadParameter(name=name, reason="a value is null, true or false, a number, a text, or a list of them")


def _check_text(name: str, value: str) -> None:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise BadParameter(name=name, reason="the text holds half of a surrogate pair") from None
