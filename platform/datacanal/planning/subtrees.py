"""Rule 3: parts of a statement whose datasets are all at one site, which can run there whole.

Sound by construction: such a part binds alone (so it depends on nothing around it), gives the same each time, holds
nothing that can raise, and is computed once, as a FROM subquery, a WITH entry or a branch of a set operation is.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from datacanal.domain.errors import StatementError
from datacanal.planning.binding import Binding, NamedType
from datacanal.planning.cardinality import column_statistics, piece_estimate
from datacanal.planning.functions import aggregates
from datacanal.planning.labelling import catalogued_tables, labelled, traced
from datacanal.planning.names import Occurrence
from datacanal.planning.pieces import Node, Piece, Text, Workbench, output_dataset, rebuilt, root_of, star_node, tree_of
from datacanal.planning.query_blocks import QueryBlock, names_of, query_blocks
from datacanal.planning.quiet import gives_the_same, is_plain_type
from datacanal.planning.tree_walk import objects

_PLACES = frozenset({"from", "with", "branch"})
_MOST = 8
"""Parts that are looked at; each costs a binding."""


@dataclass(frozen=True)
class Subtree:
    """A part that could run whole at its site; `output` stands for it where the rest of the statement runs."""

    node: Node
    piece: Piece
    site: str
    output: Occurrence
    may_leave: bool


def find_subtrees(piece: Piece, bench: Workbench, rows: Mapping[str, int]) -> list[Subtree]:
    """The largest such parts of the piece. `rows` is what each of its occurrences gives."""
    nodes = [block.node for block in _candidates(piece)][:_MOST]
    texts = [bench.write(tree_of(node)) for node in nodes]
    accepted: list[Subtree] = []
    inside: set[int] = set()
    # A block stands after those inside it: the other way round the largest come first.
    for node, text, binding in reversed(list(zip(nodes, texts, _bindings(bench, texts), strict=True))):
        if binding is not None and id(node) not in inside and _is_sound(binding):
            accepted.append(_subtree(node, text, binding, bench, rows))
            inside.update(map(id, objects(node)))
    return accepted[::-1]


def cut(piece: Piece, chosen: Sequence[Subtree], bench: Workbench) -> Piece | None:
    """The piece with each of those parts replaced by its output; None where that is not the same statement."""
    outputs = {id(each.node): each.output for each in chosen}

    def change(node: Node) -> Node | None:
        return star_node(outputs[id(node)]) if id(node) in outputs else None

    try:
        found = bench.piece(piece.id, piece.kind, rebuilt(piece.tree, change))
    except StatementError:
        return None
    found = dataclasses.replace(found, protection=piece.protection)
    return found if found.binding.columns == piece.binding.columns else None


def _candidates(piece: Piece) -> Iterator[QueryBlock]:
    datasets = {occurrence.name: occurrence.dataset for occurrence in piece.occurrences}
    for block in query_blocks(root_of(piece.tree)):
        if block.where not in _PLACES:
            continue
        names = names_of(block.node)
        used = [datasets[name] for name in names.occurrences if name in datasets]
        if len({dataset.site for dataset in used}) == 1 and not names.borrowed and _shrinks(block.node):
            yield block


def _shrinks(node: Node) -> bool:
    """Whether it may give less than its datasets' needed columns and rows, which travel anyway."""
    if node.get("type") != "SELECT_NODE":
        return True
    modifiers = {modifier["type"] for modifier in node.get("modifiers", [])}
    if node.get("group_expressions") or modifiers & {"DISTINCT_MODIFIER", "LIMIT_MODIFIER"}:
        return True
    source = node.get("from_table") or {}
    calls = {str(part.get("function_name")) for part in objects(node.get("select_list")) if "function_name" in part}
    return bool(calls & aggregates()) or source.get("type") in ("JOIN", "SUBQUERY")


def _bindings(bench: Workbench, texts: Sequence[Text]) -> list[Binding | None]:
    if not texts:
        return []
    try:
        return list(bench.ask(texts))
    except StatementError:
        return [_alone(bench, text) for text in texts]


def _alone(bench: Workbench, text: Text) -> Binding | None:
    try:
        return bench.ask([text])[0]
    except StatementError:
        return None


def _is_sound(binding: Binding) -> bool:
    names = {column.name.casefold() for column in binding.columns}
    is_named = len(names) == len(binding.columns) and all(names)
    return is_named and all(map(_is_plain, binding.columns)) and gives_the_same(binding.bound)


def _is_plain(column: NamedType) -> bool:
    return is_plain_type(column.type)


def _subtree(node: Node, text: Text, binding: Binding, bench: Workbench, rows: Mapping[str, int]) -> Subtree:
    piece = bench.bound(bench.new_id("subtree"), "subtree", text, binding)
    relation = traced(binding, catalogued_tables(piece.occurrences))
    estimate = piece_estimate(piece, rows)
    statistics = column_statistics(piece, estimate)
    [site] = piece.sites
    dataset = output_dataset(piece.id, site, labelled(binding, relation), estimate, statistics)
    return Subtree(node, piece, site, bench.occurrence(dataset), relation.shape.is_free)
