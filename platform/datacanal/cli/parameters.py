"""`--param name=value`: numbers, true, false and null by JSON's syntax, everything else is text."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from datacanal.domain.errors import BadParameter


def parse_params(given: Iterable[str]) -> dict[str, Any]:
    """The parameters by name. Raises `BadParameter` for a missing `=`, an empty name or a name given twice."""
    return {name: _typed(value) for name, value in split_params(given).items()}


def split_params(given: Iterable[str]) -> dict[str, str]:
    """Names and texts. Raises as `parse_params` does."""
    params: dict[str, str] = {}
    for text in given:
        name, equals, value = text.partition("=")
        name = name.removeprefix("$")
        if not equals or not name:
            raise BadParameter(name=name or text, reason="write --param name=value")
        if name in params:
            raise BadParameter(name=name, reason="it is given twice")
        params[name] = value
    return params


def _typed(text: str) -> Any:
    try:
        value = json.loads(text, parse_constant=_not_json)
    except ValueError:
        return text
    return text if isinstance(value, str | list | dict) else value


def _not_json(name: str) -> Any:
    raise ValueError(name)  # Python's reader takes NaN and Infinity, JSON does not
