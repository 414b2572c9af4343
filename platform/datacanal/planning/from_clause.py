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


@dataclass(frozen=True)
class FromItem:
    """An item of the FROM clause. `bounds` are the columns that the block, or what is inside it, compares with
    boundaries of their policies; they are told apart as the columns' bases are."""

    columns: tuple[FromColumn, ...]
    bounds: tuple[tuple[BaseColumn, Origin], ...]


class UnnamedItem(Exception):
    """An item of the FROM clause cannot be called by a name."""


def star_trees(node: Node, names: Sequence[str]) -> list[Tree]:
    """`SELECT item.* FROM … WHERE …` for each of those items of the block's FROM clause."""
    kept = {part: node[part] for part in ("cte_map", "where_clause") if node.get(part)}
    stars = [{"class": "STAR", "type": "STAR", "relation_name": name} for name in names]
    return [tree_of(select_node([star], node["from_table"], **kept)) for star in stars]


def from_items(names: Sequence[str], bindings: Sequence[Binding], texts: Sequence[Text]) -> list[FromItem]:
    """What the bound texts of the items tell."""
    return [_item(*each) for each in zip(names, bindings, texts, strict=True)]


def _item(name: str, binding: Binding, text: Text) -> FromItem:
    relation = traced(binding, catalogued_tables(text.occurrences))
    columns = [
        FromColumn(name, column.name, trace.label, trace.base)
        for column, trace in zip(binding.columns, relation.columns, strict=True)
    ]
    bounded = [
        (base, origin)
        for base in relation.bounds
        for origin in relation.shape.origins
        if (origin.lake, origin.dataset, origin.column) == (base.lake, base.dataset, base.column)
    ]
    return FromItem(tuple(columns), tuple(bounded))


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
