"""Which bound expressions cannot raise, whatever row they see: the list for DuckDB's bound plans.

`filters.is_pushable` is the same list for texts. Here expressions are the JSON of `json_serialize_plan`: types are
known, names are positions.
"""

from __future__ import annotations

from typing import Any

from datacanal.planning.constants import constant_fits, decimal_holds
from datacanal.planning.filters import TEXT_TESTS, widens

_PLAIN_OPERATORS = frozenset(
    {"OPERATOR_IS_NULL", "OPERATOR_IS_NOT_NULL", "OPERATOR_NOT", "OPERATOR_COALESCE", "COMPARE_IN", "COMPARE_NOT_IN"}
)
_INEXACT = frozenset({"FLOAT", "DOUBLE"})


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
        case "BOUND_CASE":
            checks = [check[part] for check in expression["case_checks"] for part in ("when_expr", "then_expr")]
            return all(map(is_harmless, [*checks, expression["else_expr"]]))
    return False


def _all(expression: dict[str, Any]) -> bool:
    return all(is_harmless(child) for child in expression.get("children", []))


def _is_harmless_call(call: dict[str, Any]) -> bool:
    kind, name = str(call.get("type")), function_name(call)
    if kind == "OPERATOR_CAST":
        return _is_harmless_cast(call)
    if name in ("+", "-", "*", "/") and len(call.get("children", [])) == 2:
        return _is_harmless_arithmetic(call, name)
    return kind.startswith("COMPARE_") or name in TEXT_TESTS


def _is_harmless_arithmetic(call: dict[str, Any], name: str) -> bool:
    """Inexact numbers become infinite; decimals overflow only where DuckDB itself looks for it."""
    result = (call.get("return_type") or {}).get("id")
    checks = (call.get("function_data") or {}).get("check_overflow")
    return result in _INEXACT or (result == "DECIMAL" and name != "/" and checks is False)


def _is_harmless_cast(call: dict[str, Any]) -> bool:
    child, target = call["children"][0], call.get("return_type") or {}
    constant = _constant(child)
    if constant is not None:
        return constant_fits(constant, target)
    source = child.get("return_type") or {}
    return source == target or widens(_type_name(source), _type_name(target)) or decimal_holds(source, target)


def _constant(expression: dict[str, Any]) -> dict[str, Any] | None:
    """The value behind casts; each of those is looked at by itself."""
    while expression.get("type") == "OPERATOR_CAST":
        expression = expression["children"][0]
    value: dict[str, Any] | None = (
        expression["value"] if expression.get("expression_class") == "BOUND_CONSTANT" else None
    )
    return value


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
