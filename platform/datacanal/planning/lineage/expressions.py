"""What an expression depends on: every column that it refers to. Positions are those of its operator's input."""

from __future__ import annotations

from typing import Any

from datacanal.planning.lineage.flow import BOOLEAN, Column, Flow, Json, NotUnderstood
from datacanal.planning.lineage.sources import Mask
from datacanal.planning.lineage.walk import Walk

_CLASSES = frozenset(
    {
        "BOUND_AGGREGATE",
        "BOUND_CASE",
        "BOUND_CONJUNCTION",
        "BOUND_CONSTANT",
        "BOUND_FUNCTION",
        "BOUND_OPERATOR",
        "BOUND_UNNEST",
        "BOUND_WINDOW",
    }
)
_WITHOUT_REFERENCES = frozenset({"return_type", "value", "arguments", "qname", "alias", "type", "parameter_names"})
_SIGNED = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT")
_UNSIGNED = ("UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT")


def uses(expression: Any, flow: Flow) -> Mask:
    """Everything that the expression, or any expression in the value, refers to. Iterative: depth is no danger.

    Raises `NotUnderstood` for a class of expressions that is not known and for a reference that leads nowhere.
    """
    mask = 0
    stack: list[Any] = [expression]
    while stack:
        value = stack.pop()
        if isinstance(value, list):
            stack.extend(value)
        elif isinstance(value, dict):
            match value.get("expression_class"):
                case "BOUND_REF" | "BOUND_COLUMN_REF":
                    mask |= referred(value, flow).mask
                case "BOUND_LAMBDA":
                    _check_body(value.get("lambda_expr"))
                    stack.append(value.get("captures"))
                case None:
                    stack.extend(_parts(value))
                case known if known in _CLASSES:
                    stack.extend(_parts(value))
                case unknown:
                    raise NotUnderstood(f"expression {unknown}")
    return mask


def referred(reference: Json, flow: Flow) -> Column:
    """The column that a reference means. Raises `NotUnderstood` where it is not there, or has another type."""
    if reference["expression_class"] == "BOUND_REF":
        column = flow.at(reference.get("index"))
    else:
        binding = reference["binding"]
        if flow.index is None or binding["table_index"] != flow.index or reference.get("depth"):
            raise NotUnderstood("a reference by name")
        column = flow.at(binding["column_index"])
    if not _same_type(column.kind, reference["return_type"]):
        raise NotUnderstood("a reference of another type")
    return column


def bare(expression: Any, flow: Flow) -> Column | None:
    """The column that the expression is, unchanged or in a wider integer; None for any other expression."""
    match expression:
        case {"expression_class": "BOUND_REF" | "BOUND_COLUMN_REF"}:
            return referred(expression, flow)
        case {"expression_class": "BOUND_FUNCTION", "type": "OPERATOR_CAST", "children": [child], "return_type": wide}:
            column = bare(child, flow)
            return Column(column.mask, wide, column.base) if column and widens(column.kind, wide) else None
    return None


def evaluated(walk: Walk, expression: Json, flow: Flow) -> tuple[Column, Mask]:
    """The column that an expression makes, and what its being worked out at all may show.

    Working out can fail, and whether it does depends on the values: so a governed column inside an expression counts
    as deciding about rows, whatever becomes of the expression's value.
    """
    column = bare(expression, flow)
    if column is not None:
        return column, 0
    mask = uses(expression, flow)
    return Column(mask, kind_of(expression)), walk.governed(mask, f"in {described(expression)}")


def kind_of(expression: Json) -> Json:
    """The type of its value. Raises `NotUnderstood` for an expression that does not say."""
    match expression:
        case {"expression_class": "BOUND_CONSTANT", "value": {"type": kind}}:
            return dict(kind)
        case {"expression_class": "BOUND_CONJUNCTION"}:
            return BOOLEAN
        case {"return_type": kind}:
            return dict(kind)
    raise NotUnderstood("an expression without a type")


def described(expression: Json) -> str:
    """The expression in words, for people."""
    match expression:
        case {"type": "OPERATOR_CAST"}:
            return "a cast"
        case {"expression_class": "BOUND_FUNCTION" | "BOUND_AGGREGATE", "qname": {"path": [*_, name]}}:
            return f"{name}(…)" if str(name)[:1].isalpha() else f"an expression with {name}"
        case {"expression_class": "BOUND_CASE"}:
            return "a CASE"
        case {"expression_class": "BOUND_WINDOW"}:
            return "a window function"
        case {"expression_class": "BOUND_UNNEST"}:
            return "unnest(…)"
    return "an expression"


def widens(narrow: Json, wide: Json) -> bool:
    """Whether a cast between the types gives each integer as itself."""
    start, end = narrow.get("id"), wide.get("id")
    for ladder in (_SIGNED, _UNSIGNED):
        if start in ladder and end in ladder:
            return ladder.index(str(start)) <= ladder.index(str(end))
    return start in _UNSIGNED and end in _SIGNED and _UNSIGNED.index(str(start)) < _SIGNED.index(str(end))


def _same_type(one: Json, other: Json) -> bool:
    """Collations of texts apart: they come and go without a cast."""
    return one == other or one.get("id") == other.get("id") == "VARCHAR"


def _parts(value: Json) -> list[Any]:
    """Where expressions over the operator's input may stand inside it."""
    if "function_data" in value:
        _check_body(value["function_data"])
    return [part for key, part in value.items() if key not in _WITHOUT_REFERENCES and key != "function_data"]


def _check_body(body: Any) -> None:
    """What a function keeps for itself, a lambda's body say: its positions mean the function's arguments alone.

    Raises `NotUnderstood` for anything in it that could mean more.
    """
    stack: list[Any] = [body]
    while stack:
        value = stack.pop()
        if isinstance(value, list):
            stack.extend(value)
        elif isinstance(value, dict):
            known = value.get("expression_class")
            if known is not None and known not in _CLASSES and known not in ("BOUND_REF", "BOUND_LAMBDA"):
                raise NotUnderstood(f"expression {known} inside a function")
            stack.extend(part for key, part in value.items() if key not in _WITHOUT_REFERENCES)
