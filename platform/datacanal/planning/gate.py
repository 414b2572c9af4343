"""The SQL gate: one SELECT over allowed constructs and functions, by an allow-list walk over DuckDB's own tree.

`check_text` guards the parser from what users send, `check_tree` judges what the parser read. What runs in the end is
text printed from a checked tree, never the text that came in. A site judges the steps that it is given with
`check_tree` too; printed text may be longer and nest deeper than what a user may send.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from datacanal.domain.errors import ConstructNotAllowed, SqlTooDeep
from datacanal.planning import tree_shapes
from datacanal.planning.functions import check_function
from datacanal.planning.instant import INSTANT_FUNCTIONS
from datacanal.planning.refusals import not_a_select, syntax_refusal
from datacanal.planning.text import MAX_DEPTH, check_text

__all__ = ["check_text", "check_tree"]

_MAX_TREE_DEPTH = 4 * MAX_DEPTH


def check_tree(tree: Mapping[str, Any], sql: str = "") -> None:
    """Accept the JSON of `json_serialize_sql` (with or without its skip options) or raise the refusal.

    `sql` is the text that was parsed; it makes refusals of what did not parse more precise. Raises `SqlSyntax`,
    `NotASelect`, `ConstructNotAllowed`, `FunctionNotAllowed` or `SqlTooDeep`. Names of tables are not judged here:
    see `datacanal.planning.names`.
    """
    if tree.get("error"):
        raise syntax_refusal(tree, sql)
    found = tree.get("statements")
    if not isinstance(found, list) or len(found) != 1:
        raise not_a_select(sql, count=len(found) if isinstance(found, list) else 0)
    for key, node, depth in _nodes(found, "statements"):
        if depth > _MAX_TREE_DEPTH:
            raise SqlTooDeep(limit=MAX_DEPTH)
        _check_node(key, node)


def _nodes(value: Any, key: str) -> Iterator[tuple[str, dict[str, Any], int]]:
    """Every object of the tree with the key that it stands under and its depth, without recursion."""
    stack: list[tuple[str, Any, int]] = [(key, value, 0)]
    while stack:
        key, value, depth = stack.pop()
        if isinstance(value, list):
            stack.extend((key, item, depth + 1) for item in reversed(value))
        elif isinstance(value, dict):
            yield key, value, depth
            children = [(name, child, depth + 1) for name, child in value.items() if name not in tree_shapes.LEAVES]
            stack.extend(reversed(children))


def _check_node(key: str, node: dict[str, Any]) -> None:
    if "class" in node:
        _check_expression(key, node)
    elif isinstance(node.get("type"), str):
        _check_keys(node, _typed_keys(node["type"]), str(node["type"]))
        if node["type"] == "TABLE_FUNCTION" and node["function"].get("class") != "FUNCTION":
            raise _refused("This table function", "Use range, generate_series or unnest.")
    else:
        _check_keys(node, frozenset(tree_shapes.RECORDS.get(key, "").split()), key)


def _typed_keys(kind: str) -> frozenset[str]:
    if kind not in tree_shapes.TYPED:
        raise _unknown(kind)
    return frozenset(tree_shapes.TYPED[kind].split())


def _check_expression(key: str, node: dict[str, Any]) -> None:
    cls, kind = str(node["class"]), str(node.get("type"))
    if kind not in tree_shapes.expression_types(cls):
        raise _unknown(cls if cls not in tree_shapes.EXPRESSIONS else kind)
    _check_keys(node, tree_shapes.expression_keys(cls), cls)
    if cls in ("FUNCTION", "WINDOW"):
        _check_call(node, table=key == "function")
    elif cls == "PARAMETER" and str(node.get("identifier", ""))[:1].isdigit():
        raise _refused("A positional parameter (? or $1)", "Use named parameters: $name.")


def _check_call(node: dict[str, Any], *, table: bool) -> None:
    name = str(node.get("function_name", ""))
    path = (node.get("qualified_name") or {}).get("path") or [name]
    if path[-1] != name:
        raise _refused(f"The function name {'.'.join(path)}", "Write the function's name alone.")
    check_function(name, table=table)
    if len(path) > 1 and name.lower() in INSTANT_FUNCTIONS:
        raise _refused(f"{name} behind a name and a dot", f"Write {name}(…): it gives the job's one instant.")
    if node.get("export_state"):
        raise _refused("EXPORT_STATE", "Ask for the aggregate itself.")


def _check_keys(node: dict[str, Any], allowed: frozenset[str], what: str) -> None:
    for key, value in node.items():
        if key not in allowed and value not in (None, False, "", [], {}, 0):
            raise _unknown(key if key in tree_shapes.NAMED_REFUSALS else f"{what}.{key}")


def _unknown(kind: str) -> ConstructNotAllowed:
    if kind in tree_shapes.NAMED_REFUSALS:
        return _refused(*tree_shapes.NAMED_REFUSALS[kind])
    return _refused(f"The construct {kind}", "docs/sql.md says what a statement may hold.")


def _refused(construct: str, hint: str) -> ConstructNotAllowed:
    return ConstructNotAllowed(construct=construct, hint=hint)
