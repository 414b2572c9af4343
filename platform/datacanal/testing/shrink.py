"""Make a failing statement smaller, so that a person can see what fails."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from typing import Any

import duckdb

Path = tuple[str | int, ...]
Cut = Callable[[Any], Any]

_DROPPABLE = ("where_clause", "having", "qualify", "filter", "sample")
# Orders and limits stay: without them a statement may have several answers and seem to fail.
# The items of "map" are the queries of WITH: the last of them may go too.
_KEPT_LISTS = ("modifiers", "orders", "path", "types", "values_list")


def shrink(sql: str, still_fails: Callable[[str], bool], *, tries: int = 150) -> str:
    """The smallest statement found in so many tries that fails as `sql` does.

    It cuts the syntax tree: clauses away, items out of lists, expressions down to one of their parts, whole queries
    down to one of theirs.
    """
    with duckdb.connect() as connection:
        tree = _parsed(connection, sql)
        best = sql
        remaining = tries
        while tree is not None:
            smaller = _first_smaller(connection, tree, len(best), still_fails, remaining)
            if smaller.tree is None:
                break
            tree, best, remaining = smaller.tree, smaller.sql, remaining - smaller.tries
        return best


class _Attempt:
    def __init__(self, tree: Any, sql: str, tries: int) -> None:
        self.tree = tree
        self.sql = sql
        self.tries = tries


def _first_smaller(
    connection: duckdb.DuckDBPyConnection, tree: Any, length: int, still_fails: Callable[[str], bool], tries: int
) -> _Attempt:
    tried = 0
    for candidate in _candidates(tree):
        if tried >= tries:
            break
        text = _printed(connection, candidate)
        if text is None or len(text) >= length:
            continue
        tried += 1
        if still_fails(text):
            return _Attempt(candidate, text, tried)
    return _Attempt(None, "", tried)


def _candidates(tree: Any) -> Iterator[Any]:
    for path, value in _walk(tree, ()):
        if not isinstance(value, dict):
            continue
        for key in _DROPPABLE:
            if value.get(key) is not None:
                yield _replaced(tree, (*path, key), None)
        for key, items in value.items():
            if isinstance(items, list) and len(items) > (key != "map") and key not in _KEPT_LISTS:
                for number in range(len(items)):
                    yield _replaced(tree, (*path, key), items[:number] + items[number + 1 :])
        for part in _parts(value):
            yield _replaced(tree, path, part)


def _parts(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """What can stand in a node's place: a query's inner queries, a join's sides, an expression's operands."""
    if str(node.get("type")).endswith("_NODE"):
        yield from (value for path, value in _walk(node, ()) if path and _is_query(value))
    elif node.get("type") == "JOIN":
        yield from (node[side] for side in ("left", "right") if isinstance(node.get(side), dict))
    elif "class" in node:
        items = [item for value in node.values() for item in (value if isinstance(value, list) else [value])]
        operands = [item.get("expression", item) for item in items if isinstance(item, dict)]
        yield from ({**operand, "alias": node.get("alias", "")} for operand in operands if "class" in operand)


def _is_query(value: Any) -> bool:
    return isinstance(value, dict) and str(value.get("type")).endswith("_NODE")


def _walk(value: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    yield path, value
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from _walk(item, (*path, key))


def _replaced(tree: Any, path: Path, value: Any) -> Any:
    made = copy.deepcopy(tree)
    place = made
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = copy.deepcopy(value)
    return made


def _parsed(connection: duckdb.DuckDBPyConnection, sql: str) -> Any:
    row = connection.execute("SELECT json_serialize_sql($sql::VARCHAR)", {"sql": sql}).fetchone()
    tree = json.loads(row[0]) if row else {"error": True}
    return None if tree.get("error") else tree


def _printed(connection: duckdb.DuckDBPyConnection, tree: Any) -> str | None:
    try:
        row = connection.execute("SELECT json_deserialize_sql($tree::JSON)", {"tree": json.dumps(tree)}).fetchone()
    except duckdb.Error:
        return None
    return str(row[0]) if row else None
