"""The items of a FROM clause, with their columns and what lineage says of each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from datacanal.planning.binding import Binding, Tree
from datacanal.planning.labelling import catalogued_tables, traced
from datacanal.planning.lineage import BaseColumn
from datacanal.planning.pieces import Node, Text, select_node, tree_of
from datacanal.protocol.labels import Label, Origin

_HIDDEN_RIGHT = frozenset({"SEMI", "ANTI"})


@dataclass(frozen=True)
class FromColumn:
    """A column of an item: the name to call it by, its label, and the dataset's column that it is."""

    item: str
    name: str
    label: Label
    base: BaseColumn | None

    @property
    def origin(self) -> Origin | None:
        """The governed column behind it, where there is one and it has not passed the gate."""
        found = [origin for origin in self.label.origins if not origin.released]
        return found[0] if len(found) == 1 else None


class UnnamedItem(Exception):
    """An item of the FROM clause cannot be called by a name."""


def star_trees(node: Node, names: Sequence[str]) -> list[Tree]:
    """`SELECT item.* FROM …` for each of those items of the block's FROM clause."""
    source = node["from_table"]
    stars = [{"class": "STAR", "type": "STAR", "relation_name": name} for name in names]
    # Conditions stay out: only who has which columns is asked.
    return [tree_of(select_node([star], source, cte_map=node.get("cte_map") or {"map": []})) for star in stars]


def from_columns(names: Sequence[str], bindings: Sequence[Binding], texts: Sequence[Text]) -> list[FromColumn]:
    """What the bound texts of the items tell."""
    found = []
    for item, binding, text in zip(names, bindings, texts, strict=True):
        relation = traced(binding, catalogued_tables(text.occurrences))
        for column, trace in zip(binding.columns, relation.columns, strict=True):
            found.append(FromColumn(item, column.name, trace.label, trace.base))
    return found


def item_names(source: Node) -> Iterator[str]:
    """How the items of a FROM clause are called. Raises `UnnamedItem`."""
    if source.get("type") == "JOIN":
        yield from item_names(source["left"])
        if source.get("join_type") not in _HIDDEN_RIGHT:
            yield from item_names(source["right"])
        return
    if source.get("type") == "EMPTY":
        return
    name = source.get("alias") or source.get("table_name")
    if not name:
        raise UnnamedItem
    yield str(name)
