"""DuckDB's bound, unoptimised plan of a statement, as JSON: what labels are worked out from (decisions/0004).

It cannot be asked with parameters, so each is replaced, in the syntax tree, by its value as a literal of the type that
DuckDB gives the parameter.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import duckdb
from pydantic import JsonValue

from datacanal.planning.quoting import literal
from datacanal.planning.tree_walk import objects

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_PLAN = "SELECT json_serialize_plan($text::VARCHAR, skip_null := true, skip_empty := true, optimize := false)::VARCHAR"
_PARSE = "SELECT json_serialize_sql($text::VARCHAR)::VARCHAR"
_PRINT = "SELECT json_deserialize_sql($text::JSON)"
_TEXT_OR_NAN = re.compile(r'"(?:[^"\\]|\\.)*"|-?NAN')
_LARGEST_PLAN = 16 * 2**20
_INTEGERS = (("INTEGER", -(2**31), 2**31), ("BIGINT", -(2**63), 2**63), ("UBIGINT", 0, 2**64))


class _NoLiteral(Exception):
    """A parameter whose value no literal stands for."""


def bound_plan(connection: DuckDBPyConnection, sql: str, params: Mapping[str, JsonValue]) -> dict[str, Any] | None:
    """The root operator of the plan, over what is attached to the connection; None where there is none to be had.

    None means that nothing is known of the statement: it says nothing about whether the statement runs.
    """
    try:
        text = _with_values(connection, sql, params) if params else sql
        answer = _ask(connection, _PLAN, text)
        if len(answer) > _LARGEST_PLAN:
            return None
        found = _read(answer)
    except (duckdb.Error, _NoLiteral, RecursionError, json.JSONDecodeError):
        return None
    plans = found.get("plans")
    return plans[0] if not found.get("error") and isinstance(plans, list) and len(plans) == 1 else None


def _read(answer: str) -> Any:
    """DuckDB writes doubles that are no number as NAN and Infinity, which JSON does not have: here they are null."""
    try:
        return json.loads(answer, parse_constant=_null)
    except json.JSONDecodeError:
        numbers = _TEXT_OR_NAN.sub(lambda found: found[0] if found[0][0] == '"' else "null", answer)
        return json.loads(numbers, parse_constant=_null)


def _null(_: str) -> None:
    return None


def _with_values(connection: DuckDBPyConnection, sql: str, params: Mapping[str, JsonValue]) -> str:
    """The statement's text with the values in the place of its parameters."""
    values = _literals(connection, params)
    tree = json.loads(_ask(connection, _PARSE, sql))
    for node in objects(tree.get("statements")):
        if node.get("class") == "PARAMETER":
            _replace(node, values)
    for statement in tree.get("statements", []):
        statement["named_param_map"] = []
    return _ask(connection, _PRINT, json.dumps(tree))


def _replace(node: dict[str, Any], values: Mapping[str, dict[str, Any]]) -> None:
    """In place; the value takes over the alias that the parameter had."""
    name = str(node["identifier"])
    if name not in values:
        raise _NoLiteral(name)
    alias = node.get("alias", "")
    node.clear()
    node.update(values[name], alias=alias)


def _literals(connection: DuckDBPyConnection, params: Mapping[str, JsonValue]) -> dict[str, dict[str, Any]]:
    """The syntax trees of the values."""
    listed = ", ".join(_literal(value) for value in params.values())
    tree = json.loads(_ask(connection, _PARSE, f"SELECT {listed}"))
    return dict(zip(params, tree["statements"][0]["node"]["select_list"], strict=True))


def _literal(value: JsonValue) -> str:
    """A text has no cast: DuckDB lets a text parameter become what it is compared with, as it does a literal."""
    match value:
        case None:
            return "NULL"
        case bool():
            return str(value).upper()
        case int():
            return f"CAST({value} AS {_integer_type(value)})"
        case float() if math.isfinite(value):
            return f"CAST({value!r} AS DOUBLE)"
        case str():
            return literal(value)
        case list():
            return f"[{', '.join(map(_literal, value))}]"
    raise _NoLiteral


def _integer_type(value: int) -> str:
    return next((name for name, least, above in _INTEGERS if least <= value < above), "HUGEINT")


def _ask(connection: DuckDBPyConnection, question: str, text: str) -> str:
    [(answer,)] = connection.execute(question, {"text": text}).fetchall()
    return str(answer)
