"""Names of result columns that hold a subquery: DuckDB titles them with its text, which renaming tables would change.

So they get the title that they would have had as an alias of their own before tables are renamed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from datacanal.planning.binding import Binder, Tree


def keep_titles(tree: Tree, binder: Binder) -> None:
    """Give every untitled select item in which a table is named its title as alias, in place."""
    for item in list(_untitled(tree)):
        item["alias"] = _title(item, binder)


def _untitled(tree: Tree) -> Iterator[dict[str, Any]]:
    stack: list[Any] = [tree.get("statements")]
    while stack:
        value = stack.pop()
        if isinstance(value, list):
            stack.extend(value)
        elif isinstance(value, dict):
            stack.extend(value.values())
            yield from (item for item in value.get("select_list") or [] if _needs_title(item))


def _needs_title(item: dict[str, Any]) -> bool:
    return not item.get("alias") and item.get("class") != "STAR" and _names_a_table(item)


def _names_a_table(item: dict[str, Any]) -> bool:
    stack: list[Any] = [item]
    while stack:
        value = stack.pop()
        if isinstance(value, list):
            stack.extend(value)
        elif isinstance(value, dict):
            if value.get("type") == "BASE_TABLE":
                return True
            stack.extend(value.values())
    return False


def _title(item: dict[str, Any], binder: Binder) -> str:
    node = {
        "type": "SELECT_NODE",
        "select_list": [item],
        "cte_map": {"map": []},
        "from_table": {"type": "EMPTY"},
        "aggregate_handling": "STANDARD_HANDLING",
    }
    return binder.print_checked({"error": False, "statements": [{"node": node}]}).removeprefix("SELECT ")
