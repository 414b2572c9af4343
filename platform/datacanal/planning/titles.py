"""Titles of result columns that DuckDB makes of table names: renaming the tables must not change them.

An item that holds a subquery is titled with its text: it gets that title as an alias before tables are renamed.
Printing alone changes the text too: each time it is read again, `VALUES` is wrapped once more. What `COLUMNS(…)`
expands to is titled with full column names: the whole statement then gets a list of column names.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from datacanal.planning.binding import Binder, Tree
from datacanal.planning.tree_walk import objects

_OCCURRENCE = re.compile(r"\bocc\d+\.")
_PLAIN_CATALOG = "memory."


def keep_titles(tree: Tree, binder: Binder) -> None:
    """Give every untitled select item that holds a subquery its title as alias, in place."""
    for item in list(_untitled(tree)):
        item["alias"] = _title(item, binder)


def retitle(tree: Tree, names: list[str]) -> bool:
    """Wrap the statement, in place, where its column names show occurrences; say whether that was needed."""
    if not any(_OCCURRENCE.search(name) for name in names):
        return False
    statement = tree["statements"][0]
    statement["node"] = {
        "type": "SELECT_NODE",
        "select_list": [{"class": "STAR", "type": "STAR"}],
        "cte_map": {"map": []},
        "from_table": {
            "type": "SUBQUERY",
            "alias": "titled",
            "subquery": {"node": statement["node"]},
            "column_name_alias": [_OCCURRENCE.sub(_PLAIN_CATALOG, name) for name in names],
        },
        "aggregate_handling": "STANDARD_HANDLING",
    }
    return True


def _untitled(tree: Tree) -> Iterator[dict[str, Any]]:
    for node in objects(tree.get("statements")):
        yield from (item for item in node.get("select_list") or [] if _needs_title(item))


def _needs_title(item: dict[str, Any]) -> bool:
    return not item.get("alias") and item.get("class") != "STAR" and _holds_a_subquery(item)


def _holds_a_subquery(item: dict[str, Any]) -> bool:
    return any(node.get("class") == "SUBQUERY" for node in objects(item))


def _title(item: dict[str, Any], binder: Binder) -> str:
    node = {
        "type": "SELECT_NODE",
        "select_list": [item],
        "cte_map": {"map": []},
        "from_table": {"type": "EMPTY"},
        "aggregate_handling": "STANDARD_HANDLING",
    }
    return binder.print_checked({"error": False, "statements": [{"node": node}]}).removeprefix("SELECT ")
