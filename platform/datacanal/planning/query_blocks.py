"""The query nodes of a statement's tree, each with the common table expressions that it sees around it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from datacanal.planning.names import table_references
from datacanal.planning.pieces import Node, tree_of

Where = Literal["statement", "from", "with", "branch", "expression"]
Definition = tuple[str, Node]
"""An entry of a WITH: its name and what stands under `value`."""

_OCCURRENCE_PATH = 3


@dataclass(frozen=True)
class QueryBlock:
    """A query node, where it stands, and the WITH entries visible to it, the outermost first."""

    node: Node
    where: Where
    around: tuple[Definition, ...]


def query_blocks(node: Node) -> Iterator[QueryBlock]:
    """Every block of the statement, each after those inside it. What recurs is not looked into."""
    yield from _blocks(node, "statement", ())


@dataclass(frozen=True)
class Names:
    """What a query node takes from outside: occurrences, and, in lower case, names of a WITH around it."""

    occurrences: frozenset[str]
    borrowed: frozenset[str]


def names_of(node: Node) -> Names:
    """The names that the query node does not make itself."""
    paths = [reference.path for reference in table_references(tree_of(node))]
    return Names(
        frozenset(path[0] for path in paths if len(path) == _OCCURRENCE_PATH),
        frozenset(path[-1].lower() for path in paths if len(path) < _OCCURRENCE_PATH),
    )


def definitions_for(node: Node, around: tuple[Definition, ...]) -> list[Definition] | None:
    """The entries of the WITHs around that the query node needs, in order; None where two of them share a name."""
    needed: dict[int, Definition] = {}
    stack = [(name, len(around)) for name in names_of(node).borrowed]
    while stack:
        name, end = stack.pop()
        found = next((index for index in reversed(range(end)) if around[index][0].lower() == name), None)
        if found is None:
            return None
        if found not in needed:
            needed[found] = around[found]
            stack.extend((inner, found) for inner in names_of(around[found][1]["query_node"]).borrowed)
    names = [around[index][0].lower() for index in needed]
    own = {str(entry["key"]).lower() for entry in (node.get("cte_map") or {}).get("map") or []}
    if len(set(names)) < len(names) or own & set(names):
        return None
    return [needed[index] for index in sorted(needed)]


def with_definitions(node: Node, definitions: list[Definition]) -> Node:
    """The query node with the entries before its own."""
    own = (node.get("cte_map") or {}).get("map") or []
    entries = [{"key": name, "value": value} for name, value in definitions]
    return {**node, "cte_map": {"map": [*entries, *own]}}


def prune(node: Node) -> bool:
    """Drop, in place, WITH entries of the statement that nothing names; say whether there were any."""
    dropped = False
    for block in list(query_blocks(node)):
        entries = (block.node.get("cte_map") or {}).get("map") or []
        needed = set(names_of({**block.node, "cte_map": {"map": []}}).borrowed) if entries else set()
        kept: list[Node] = []
        for entry in reversed(entries):
            if str(entry["key"]).lower() in needed:
                kept.insert(0, entry)
                needed |= names_of(entry["value"]["query_node"]).borrowed
        if len(kept) < len(entries):
            block.node["cte_map"], dropped = {"map": kept}, True
    return dropped


def _blocks(node: Node, where: Where, around: tuple[Definition, ...]) -> Iterator[QueryBlock]:
    inside = around
    for entry in (node.get("cte_map") or {}).get("map") or []:
        query = entry["value"]["query_node"]
        if query.get("type") != "RECURSIVE_CTE_NODE":
            yield from _blocks(query, "with", inside)
        inside = (*inside, (str(entry["key"]), entry["value"]))
    for key, part in node.items():
        if key == "cte_map":
            continue
        if key == "children" and node.get("type") == "SET_OPERATION_NODE":
            for branch in part:
                yield from _blocks(branch, "branch", inside)
        else:
            yield from _inner(part, inside)
    yield QueryBlock(node, where, around)


def _inner(value: Any, around: tuple[Definition, ...]) -> Iterator[QueryBlock]:
    """The blocks of the subqueries in a part of a query node. Iterative: only subqueries cost a level of the stack."""
    stack = [value]
    while stack:
        value = stack.pop()
        if isinstance(value, list):
            stack.extend(reversed(value))
        elif isinstance(value, dict):
            subquery = value.get("subquery")
            if value.get("type") == "SUBQUERY" and isinstance(subquery, dict):
                where: Where = "expression" if value.get("class") == "SUBQUERY" else "from"
                yield from _blocks(subquery["node"], where, around)
                stack.extend(item for key, item in reversed(value.items()) if key != "subquery")
            else:
                stack.extend(reversed(value.values()))
