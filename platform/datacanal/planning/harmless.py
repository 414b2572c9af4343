"""Which bound expressions cannot raise, whatever row they see: the list for DuckDB's bound plans.

`filters.is_pushable` is the same list for texts. Here expressions are the JSON of `json_serialize_plan`: types are
known, names are positions.
"""

from __future__ import annotations

from typing import Any

from datacanal.planning.filters import TEXT_TESTS, widens

_PLAIN_OPERATORS = frozenset(
    {"OPERATOR_IS_NULL", "OPERATOR_IS_NOT_NULL", "OPERATOR_NOT", "OPERATOR_COALESCE", "COMPARE_IN", "COMPARE_NOT_IN"}
)


def is_harmless(expression: dict[str, Any]) -> bool:
    """Whether evaluating the expression cannot raise and gives the same each time."""
    match expression.get("expression_class"):
        case "BOUND_REF" | "BOUND_CONSTANT":
            return True
        case "BOUND_CONJUNCTION":
            return _all(expression)
        case "BOUND_OPERATOR":
            return expression.get("type") in _PLAIN_OPERATORS and _all(expression)
        case "BOUND_FUNCTION":
            return _is_harmless_call(expression) and _all(expression)
    return False


def _all(expression: dict[str, Any]) -> bool:
    return all(is_harmless(child) for child in expression.get("children", []))


def _is_harmless_call(call: dict[str, Any]) -> bool:
    kind = str(call.get("type"))
    if kind == "OPERATOR_CAST":
        return _is_harmless_cast(call)
    return kind.startswith("COMPARE_") or function_name(call) in TEXT_TESTS


def _is_harmless_cast(call: dict[str, Any]) -> bool:
    child = call["children"][0]
    if _is_constant(child):
        return True  # it is folded, or raises, when the statement is planned
    source, target = child.get("return_type"), call.get("return_type")
    return source == target or widens(_type_name(source), _type_name(target))


def _is_constant(expression: dict[str, Any]) -> bool:
    if expression.get("type") == "OPERATOR_CAST":
        return _is_constant(expression["children"][0])
    return expression.get("expression_class") == "BOUND_CONSTANT"


def _type_name(kind: Any) -> str:
    """The type as `widens` wants it; empty, which widens to nothing, for types with other parameters."""
    name = str(kind.get("id", "")) if isinstance(kind, dict) else ""
    if name == "ENUM":
        return "ENUM("
    return name if name and "type_info" not in kind else ""


def function_name(call: dict[str, Any]) -> str:
    """The called function's name without its schema."""
    path = (call.get("qname") or {}).get("path") or [""]
    return str(path[-1])
