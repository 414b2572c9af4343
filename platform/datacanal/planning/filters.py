"""Which filters may go down to a lake: shapes that cannot raise and whose constants have the column's own type.

A filter reaches us as text in DuckDB's plan. It is read by DuckDB's parser, held against the list of shapes, printed
again with the dataset's own column names, and proved: the plan of the printed scan must show the same filter.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from datacanal.planning.binding import Binder, NamedType
from datacanal.planning.canonical import canonical

Expression = dict[str, Any]

PLAIN_TYPE = re.compile(
    r"(U?(TINYINT|SMALLINT|INTEGER|BIGINT|HUGEINT)|FLOAT|DOUBLE|DECIMAL\(\d+,\s?\d+\)|VARCHAR|BOOLEAN|DATE|TIME|"
    r"TIMESTAMP(_S|_MS|_NS)?|TIMESTAMP WITH TIME ZONE|UUID|BLOB|ENUM\(.*\))",
    re.DOTALL,
)
_CONSTANT_CASTS = frozenset(
    "DATE TIME TIMESTAMP TIMESTAMP_S TIMESTAMP_MS TIMESTAMP_NS UUID BLOB DOUBLE FLOAT".split()  # noqa: SIM905  # a list
) | {"TIMESTAMP WITH TIME ZONE"}
_INTEGERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT")
_UNSIGNED = ("UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT")
TEXT_TESTS = frozenset({"prefix", "suffix", "contains", "starts_with", "ends_with", "~~", "!~~", "~~*", "!~~*"})


def read_filters(binder: Binder, groups: Sequence[Sequence[str]]) -> list[list[Expression] | None]:
    """For each group of filter texts the conjuncts they hold, `None` where the texts cannot be read.

    A constant with a line break arrives cut in pieces: the pieces read together then give fewer expressions.
    """
    together = _read(binder, [text for group in groups for text in group])
    if together is None:
        alone = [_read(binder, group) for group in groups]
        return [None if found is None else _conjuncts(found) for found in alone]
    sizes = [len(group) for group in groups]
    starts = [sum(sizes[:number]) for number in range(len(sizes))]
    return [_conjuncts(together[start : start + size]) for start, size in zip(starts, sizes, strict=True)]


def key(expression: Expression) -> str:
    """Equal for expressions that mean the same, in whatever order AND and OR list their parts."""
    if expression.get("class") == "CONJUNCTION":
        return f"{expression['type']}({', '.join(sorted(map(key, expression['children'])))})"
    return json.dumps(canonical(expression), sort_keys=True)


def is_pushable(expression: Expression, columns: Sequence[NamedType], prefix: str) -> bool:
    """Whether evaluating the filter earlier, on any row, cannot raise."""
    return _Shapes(columns, prefix).test(expression)


def with_own_names(expression: Any, columns: Sequence[NamedType], prefix: str) -> Any:
    """The expression with the base table's column names replaced by the dataset's."""
    if isinstance(expression, list):
        return [with_own_names(item, columns, prefix) for item in expression]
    if not isinstance(expression, dict):
        return expression
    if expression.get("class") == "COLUMN_REF":
        position = _position(expression, prefix)
        return {"class": "COLUMN_REF", "type": "COLUMN_REF", "column_names": [columns[position or 0].name]}
    return {name: with_own_names(item, columns, prefix) for name, item in expression.items()}


def conjunction(kind: str, expressions: Sequence[Expression]) -> Expression:
    """`kind` is AND or OR; a single expression stays as it is."""
    if len(expressions) == 1:
        return expressions[0]
    return {"class": "CONJUNCTION", "type": f"CONJUNCTION_{kind}", "children": list(expressions)}


def _read(binder: Binder, texts: Sequence[str]) -> list[Expression] | None:
    if not texts:
        return []
    tree = binder.parse("SELECT " + ", ".join(f"({text})" for text in texts))
    if tree.get("error") or len(tree["statements"]) != 1:
        return None
    node = tree["statements"][0]["node"]
    found = node.get("select_list", [])
    is_plain = set(node) <= {"type", "cte_map", "select_list", "from_table", "aggregate_handling"}
    is_plain = is_plain and node.get("from_table", {}).get("type") == "EMPTY"
    return list(found) if is_plain and len(found) == len(texts) else None


def _conjuncts(expressions: Sequence[Expression]) -> list[Expression]:
    flat: list[Expression] = []
    for expression in expressions:
        if expression.get("type") == "CONJUNCTION_AND":
            flat.extend(_conjuncts(expression["children"]))
        else:
            flat.append(expression)
    return flat


def _position(expression: Expression, prefix: str) -> int | None:
    names = expression.get("column_names", [])
    if len(names) != 1 or not names[0].startswith(prefix) or not names[0].removeprefix(prefix).isdigit():
        return None
    return int(names[0].removeprefix(prefix))


class _Shapes:
    """The list of shapes, over one table's columns."""

    def __init__(self, columns: Sequence[NamedType], prefix: str) -> None:
        self._columns = columns
        self._prefix = prefix

    def test(self, expression: Expression) -> bool:
        """Whether the expression is a condition of a listed shape."""
        match expression.get("class"):
            case "CONJUNCTION":
                return all(self.test(child) for child in expression["children"])
            case "COLUMN_REF":
                return self._type_of(expression) == "BOOLEAN"
            case "COMPARISON":
                return self._comparable([expression["left"], expression["right"]])
            case "BETWEEN":
                return self._comparable([expression[part] for part in ("input", "lower", "upper")])
            case "OPERATOR":
                return self._operator(expression["type"], expression["children"])
            case "FUNCTION":
                return self._text_test(expression)
        return False

    def _position(self, expression: Expression) -> int | None:
        position = _position(expression, self._prefix)
        return position if position is not None and position < len(self._columns) else None

    def _operator(self, kind: str, children: list[Expression]) -> bool:
        match kind:
            case "OPERATOR_NOT":
                return self.test(children[0])
            case "OPERATOR_IS_NULL" | "OPERATOR_IS_NOT_NULL":
                return self._position(children[0]) is not None
            case "COMPARE_IN" | "COMPARE_NOT_IN":
                return self._comparable(children[:1]) and all(_is_constant(child) for child in children[1:])
        return False

    def _comparable(self, sides: list[Expression]) -> bool:
        """Columns of one plain type, and constants; at least one column."""
        types = {self._type_of(side) for side in sides if not _is_constant(side)}
        if len(types) != 1:
            return False
        found = types.pop()
        return found is not None and PLAIN_TYPE.fullmatch(found) is not None

    def _text_test(self, expression: Expression) -> bool:
        arguments = [argument["expression"] for argument in expression.get("arguments", [])]
        return (
            expression.get("function_name") in TEXT_TESTS
            and len(arguments) == 2
            and self._type_of(arguments[0]) == "VARCHAR"
            and arguments[1].get("class") == "CONSTANT"
        )

    def _type_of(self, expression: Expression) -> str | None:
        """The type of a column, or of a column cast to a type that holds all its values; `None` for anything else."""
        if expression.get("class") == "COLUMN_REF":
            position = self._position(expression)
            return None if position is None else self._columns[position].type
        if expression.get("class") == "CAST" and not expression.get("try_cast"):
            target = _type_name(expression["type_expr"])
            return target if target is not None and widens(self._type_of(expression["child"]), target) else None
        return None


def _is_constant(expression: Expression) -> bool:
    if expression.get("class") == "CONSTANT":
        return True
    return (
        expression.get("class") == "CAST"
        and expression["child"].get("class") == "CONSTANT"
        and _type_name(expression["type_expr"]) in _CONSTANT_CASTS
    )


def _type_name(node: Expression) -> str | None:
    return str(node.get("type_name", "")).upper() if not node.get("children") else None


def widens(source: str | None, target: str) -> bool:
    """Whether each value of the one type has a place in the other."""
    if source in _INTEGERS and target in _INTEGERS:
        return _INTEGERS.index(source) <= _INTEGERS.index(target)
    if source in _UNSIGNED:
        wider = _UNSIGNED[_UNSIGNED.index(source) :] + _INTEGERS[_UNSIGNED.index(source) + 1 :]
        return target in (*wider, "UHUGEINT", "DOUBLE")
    if target == "DOUBLE":
        return source in (*_INTEGERS, "FLOAT")
    return target == "VARCHAR" and source is not None and source.startswith("ENUM(")
