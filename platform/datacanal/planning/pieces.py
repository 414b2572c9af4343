"""Pieces: a statement's tree with parts cut out, each a tree of its own that runs as one step.

What a piece gives is a dataset to the piece that takes it: `occN.step.<id>`, which no lake can be called. All pieces of
a statement share one workbench, where occurrences get their numbers and trees are written and bound.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from pydantic import JsonValue

from datacanal.planning.binding import Binder, Binding, BindRequest, Question, Tree
from datacanal.planning.catalogue import STEP_LAKE, CataloguedDataset
from datacanal.planning.names import Occurrence, table_references
from datacanal.planning.scans import Demand, read_demands
from datacanal.planning.shipments import bound_table
from datacanal.planning.tree_walk import objects
from datacanal.protocol.catalogue import ColumnStatistics, DatasetColumn
from datacanal.protocol.plan import Estimate, PlanColumn, Protection

Node = dict[str, Any]
Kind = Literal["subtree", "aggregate", "query"]
_OCCURRENCE_PATH = 3


@dataclass(frozen=True)
class Piece:
    """A part of a statement, checked and bound: the text that runs, its tables, its result and DuckDB's plan of it."""

    id: str
    kind: Kind
    tree: Tree
    sql: str
    params: Mapping[str, JsonValue]
    occurrences: Sequence[Occurrence]
    binding: Binding
    prefix: str
    now: str
    protection: Protection | None = None

    @cached_property
    def sites(self) -> list[str]:
        """The sites of what it reads."""
        return sorted({occurrence.dataset.site for occurrence in self.occurrences})

    @cached_property
    def demands(self) -> dict[str, Demand]:
        """What each occurrence must deliver."""
        return read_demands(self.binding.plan, [occurrence.name for occurrence in self.occurrences], self.prefix)


@dataclass(frozen=True)
class Text:
    """A tree as it was written, with the occurrences and parameters that it names."""

    sql: str
    tree: Tree
    occurrences: Sequence[Occurrence]
    params: Mapping[str, JsonValue]


class Workbench:
    """Where the pieces of one statement are written and bound, over the occurrences that they know together.

    `stem` begins the ids of its steps.
    """

    def __init__(
        self,
        binder: Binder,
        params: Mapping[str, JsonValue],
        prefix: str,
        now: str,
        occurrences: Sequence[Occurrence] = (),
        stem: str = "",
    ) -> None:
        self.stem = stem
        self.binder = binder
        self.prefix = prefix
        self.now = now
        self._params = params
        self._occurrences = {occurrence.name: occurrence for occurrence in occurrences}
        self._ids: set[str] = set()

    def occurrence(self, dataset: CataloguedDataset) -> Occurrence:
        """A new occurrence of the dataset."""
        found = Occurrence(f"occ{len(self._occurrences)}", dataset)
        self._occurrences[found.name] = found
        return found

    def new_id(self, stem: str) -> str:
        """A step id that no other piece has."""
        first = f"{self.stem}{stem}"
        found = next(name for number in range(len(self._ids) + 1) if (name := f"{first}_{number}") not in self._ids)
        self._ids.add(found)
        return found

    def used(self, *trees: Tree) -> list[Occurrence]:
        """The occurrences that the trees name, in the order of their numbers."""
        paths = [reference.path for tree in trees for reference in table_references(tree)]
        named = {path[0] for path in paths if len(path) == _OCCURRENCE_PATH}
        return [occurrence for name, occurrence in self._occurrences.items() if name in named]

    def write(self, tree: Tree) -> Text:
        """The text of the tree, proved to mean the same."""
        return Text(self.binder.print_checked(tree), tree, self.used(tree), self._params_of(tree))

    def ask(self, texts: Sequence[Text]) -> list[Binding]:
        """Bind the texts, bound plans included, in one request. Raises if one of them does not bind."""
        questions = [Question(sql=text.sql, params=dict(text.params), lineage=True) for text in texts]
        named = {occurrence.name: occurrence for text in texts for occurrence in text.occurrences}
        tables = [bound_table(occurrence) for occurrence in named.values()]
        return self.binder.bind(BindRequest(tables=tables, questions=questions, now=self.now, prefix=self.prefix))

    def piece(self, step: str, kind: Kind, tree: Tree) -> Piece:
        """The tree as a piece. Raises where it does not bind."""
        text = self.write(tree)
        [binding] = self.ask([text])
        return self.bound(step, kind, text, binding)

    def bound(self, step: str, kind: Kind, text: Text, binding: Binding, protection: Protection | None = None) -> Piece:
        """A text as a piece, where its binding is known."""
        return Piece(
            id=step,
            kind=kind,
            tree=text.tree,
            sql=text.sql,
            params=text.params,
            occurrences=text.occurrences,
            binding=binding,
            prefix=self.prefix,
            now=self.now,
            protection=protection,
        )

    def _params_of(self, tree: Tree) -> dict[str, JsonValue]:
        """The parameters that the tree names; DuckDB takes no others."""
        if not self._params:
            return {}
        named = {str(node["identifier"]).lower() for node in objects(tree) if node.get("class") == "PARAMETER"}
        return {name: value for name, value in self._params.items() if name.lower() in named}


def output_dataset(
    step: str, site: str, columns: Sequence[PlanColumn], estimate: Estimate, statistics: Sequence[ColumnStatistics]
) -> CataloguedDataset:
    """What a step gives, as a dataset of the piece that takes it."""
    known = tuple(
        DatasetColumn(name=each.name, type=each.type, label=each.label, statistics=statistic)
        for each, statistic in zip(columns, statistics, strict=True)
    )
    return CataloguedDataset(STEP_LAKE, step, site, "", estimate.rows, estimate.bytes, known)


def tree_of(node: Node) -> Tree:
    """A query node as a statement."""
    return {"error": False, "statements": [{"node": node}]}


def root_of(tree: Tree) -> Node:
    """The statement's query node."""
    node: Node = tree["statements"][0]["node"]
    return node


def table_node(occurrence: Occurrence, names: Sequence[str] = ()) -> Node:
    """A reference to the occurrence; `names` rename its columns."""
    path = [occurrence.name, occurrence.dataset.lake, occurrence.dataset.name]
    node: Node = {
        "type": "BASE_TABLE",
        "catalog_name": path[0],
        "schema_name": path[1],
        "table_name": path[2],
        "qualified_name": {"path": path},
    }
    if names:
        node |= {"alias": path[2], "column_name_alias": list(names)}
    return node


def select_node(items: Sequence[Node], source: Node, **parts: Any) -> Node:
    """`SELECT items FROM source`, with whatever else is given under its key."""
    return {
        "type": "SELECT_NODE",
        "select_list": list(items),
        "cte_map": {"map": []},
        "from_table": source,
        "aggregate_handling": "STANDARD_HANDLING",
        **parts,
    }


def star_node(occurrence: Occurrence) -> Node:
    """All of the occurrence."""
    return select_node([{"class": "STAR", "type": "STAR"}], table_node(occurrence))


def column_node(*names: str, alias: str = "") -> Node:
    """A reference to a column."""
    return {"class": "COLUMN_REF", "type": "COLUMN_REF", "column_names": list(names), "alias": alias}


def rebuilt(value: Any, change: Callable[[Node], Node | None]) -> Any:
    """A copy in which every object that `change` gives another one for is that one; what it gives is not looked into.

    Raises `RecursionError` for a tree that is too deep.
    """
    # Plain loops: a comprehension would take a second frame for each level of a deep tree.
    if isinstance(value, list):
        items = []
        for item in value:
            items.append(rebuilt(item, change))
        return items
    if not isinstance(value, dict):
        return value
    other = change(value)
    if other is not None:
        return other
    found = {}
    for key, item in value.items():
        found[key] = rebuilt(item, change)
    return found
