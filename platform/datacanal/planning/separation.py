"""Protected aggregates become steps of their own: SELECT blocks that aggregate governed columns are cut out.

Only planning: the gate and every site judge what runs by its lineage. So a block that is not understood is left as it
is, and the statement is refused for what it would show.
"""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from datacanal.domain.errors import PolicyRefused, StatementError
from datacanal.planning.aggregate_blocks import AggregateBlock, Obstacle
from datacanal.planning.assembly import Assembly
from datacanal.planning.binding import NamedType
from datacanal.planning.cardinality import group_estimate
from datacanal.planning.catalogue import CataloguedDataset
from datacanal.planning.expressions import aggregate_calls, is_column, is_repeatable
from datacanal.planning.from_clause import FromColumn, FromItem, UnnamedItem, from_items, item_names, star_trees
from datacanal.planning.grouping import numbered_groups
from datacanal.planning.labelling import catalogued_tables, input_tables, labelled, traced
from datacanal.planning.layout import Layout, Surveyor
from datacanal.planning.lineage import Relation, protected_labels
from datacanal.planning.measures import (
    GOVERNED,
    check_numbers,
    governed_measures,
    known_columns,
    place,
    protection_of,
)
from datacanal.planning.pieces import Node, Piece, Workbench, column_node, output_dataset, rebuilt, root_of, tree_of
from datacanal.planning.query_blocks import QueryBlock, definitions_for, names_of, prune, query_blocks, with_definitions
from datacanal.planning.tree_walk import objects
from datacanal.protocol.catalogue import ColumnStatistics
from datacanal.protocol.labels import Label, Origin
from datacanal.protocol.plan import Meeting, PlanColumn, Protection, Step

_GROUP = re.compile(r"as the column 'g\d+'")
_PLAIN = "Write it as one SELECT of count, sum or avg, FROM, WHERE and GROUP BY, that uses nothing from around it."


@dataclass
class Separator:
    """Cuts the protected aggregates out of one statement; their steps go to the assembly.

    `decisions` say in words what was cut out, `meetings` where it is made, `obstacles` what could not be cut out.
    """

    bench: Workbench
    surveyor: Surveyor
    assembly: Assembly
    decisions: list[str] = field(default_factory=list)
    meetings: list[Meeting] = field(default_factory=list)
    obstacles: list[Obstacle | PolicyRefused] = field(default_factory=list)

    def separate(self, statement: Piece) -> Piece:
        """The statement over the steps of its aggregates. Raises `NoLegalPlan` where no site may make one of them."""
        found = statement
        for block in list(query_blocks(root_of(statement.tree))):
            if self._concerns(block):
                found = self._attempt(block, found)
        if found is not statement and prune(root_of(found.tree)):
            found = self.bench.piece(found.id, found.kind, found.tree)
        return found

    def refusal(self, refused: PolicyRefused) -> PolicyRefused:
        """The refusal of the statement, in the words of what kept its block from being cut out."""
        column = str(refused.data["column"])
        for obstacle in self.obstacles:
            if isinstance(obstacle, PolicyRefused):
                return obstacle
            if not obstacle.columns or column in obstacle.columns:
                return PolicyRefused(column=column, rule=obstacle.rule, hint=obstacle.hint)
        return refused

    def _concerns(self, block: QueryBlock) -> bool:
        """Whether the block aggregates, and reads a dataset with governed columns."""
        node = block.node
        if node.get("type") != "SELECT_NODE" or not node.get("from_table"):
            return False
        outside = [node.get(part) for part in ("select_list", "having", "qualify", "modifiers")]
        if not node.get("group_expressions") and next(aggregate_calls(outside), None) is None:
            return False
        read = self.bench.used(tree_of(with_definitions(node, definitions_for(node, block.around) or [])))
        return any(column.label.policy_class == GOVERNED for each in read for column in each.dataset.columns)

    def _attempt(self, block: QueryBlock, statement: Piece) -> Piece:
        """The statement without the block's aggregates, or as it was."""
        before, steps, transfers = dict(block.node), len(self.assembly.steps), len(self.assembly.transfers)
        meetings = len(self.meetings)
        try:
            return self._cut_out(block, statement)
        except (Obstacle, PolicyRefused) as obstacle:
            self.obstacles.append(obstacle)
        except StatementError:
            self.obstacles.append(Obstacle("its aggregates cannot be told from the rest of the statement.", _PLAIN))
        block.node.clear()
        block.node.update(before)
        del self.assembly.steps[steps:], self.assembly.transfers[transfers:], self.meetings[meetings:]
        return statement

    def _cut_out(self, block: QueryBlock, statement: Piece) -> Piece:
        alone, own = _standing_alone(block), block.node.get("cte_map") or {"map": []}
        titles, items = self._surveyed(alone)
        columns = [column for item in items for column in item.columns]
        try:
            taken = AggregateBlock(alone, known_columns(columns))
            origins, entities = governed_measures(taken, items)
        except Obstacle as obstacle:
            place(obstacle, columns)
            raise
        if not origins:
            return statement
        dataset = self._made(taken, entities)
        rest = {**taken.rest(self.bench.occurrence(dataset), titles), "cte_map": own}
        _check_shared(rest)
        block.node.clear()
        block.node.update(rest)
        found = self.bench.piece(statement.id, statement.kind, statement.tree)
        if found.binding.columns != statement.binding.columns:
            raise Obstacle("its aggregates cannot be told from the rest of the statement.", _PLAIN)
        self.decisions.append(_decision(origins, dataset))
        return found

    def _surveyed(self, alone: Node) -> tuple[list[str], list[FromItem]]:
        """The titles of the block's columns, and the items of its FROM clause."""
        try:
            names = list(item_names(alone["from_table"]))
        except UnnamedItem:
            raise Obstacle("every part of FROM has a name.", "Give each part of FROM an alias.") from None
        texts = [self.bench.write(tree) for tree in (tree_of(alone), *star_trees(alone, names))]
        bindings = self.bench.ask(texts)
        titles = [column.name for column in bindings[0].columns]
        return titles, from_items(names, bindings[1:], texts[1:])

    def _made(self, taken: AggregateBlock, entities: Sequence[FromColumn]) -> CataloguedDataset:
        """The step that makes the groups, and what it gives."""
        protection = protection_of(taken, entities)
        piece, gives = self._relation(taken, entities, protection)
        try:
            _protected(piece, traced(piece.binding, catalogued_tables(piece.occurrences)), protection)
        except PolicyRefused as refused:
            raise _in_own_words(refused) from None
        layout = self.surveyor.lay_out(piece)
        self.meetings.append(layout.meeting)
        inputs = self.assembly.deliver(layout)
        relation = traced(layout.piece.binding, input_tables(inputs))
        labels = _protected(layout.piece, relation, protection)
        columns = [
            PlanColumn(name=each.name, type=each.type, label=label) for each, label in zip(gives, labels, strict=True)
        ]
        keys = [str(each["column_names"][-1]) if is_column(each) else "" for each in taken.groups]
        estimate = group_estimate(piece, _rows(layout), keys, len(columns))
        self.assembly.steps.append(
            Step(
                id=piece.id,
                site=layout.site,
                kind="aggregate",
                sql=layout.piece.sql,
                params=dict(layout.piece.params),
                inputs=inputs,
                columns=columns,
                relation=labelled(layout.piece.binding, relation),
                protection=protection,
                estimate=estimate.model_copy(update={"scanned_bytes": self.assembly.estimate(layout).scanned_bytes}),
            )
        )
        statistics = [ColumnStatistics(compressed_bytes=max(estimate.bytes // len(columns), 1)) for _ in columns]
        return output_dataset(piece.id, layout.site, columns, estimate, statistics)

    def _relation(
        self, taken: AggregateBlock, entities: Sequence[FromColumn], protection: Protection
    ) -> tuple[Piece, list[NamedType]]:
        """The relation as a piece, and the columns of its groups."""
        tree = tree_of(taken.relation([column_node(each.item, each.name) for each in entities]))
        text = self.bench.write(tree)
        grouped = numbered_groups(protection, f"({text.sql}) AS relation")
        binding, groups = self.bench.ask([text, dataclasses.replace(text, sql=grouped)])
        piece = self.bench.bound(self.bench.new_id("groups"), "aggregate", text, binding, protection)
        check_numbers(protection, binding.columns)
        return piece, groups.columns[1:]


def _standing_alone(block: QueryBlock) -> Node:
    """The block with the WITH entries that it needs. They are worked out again, so they must give the same."""
    definitions = definitions_for(block.node, block.around)
    if definitions is None:
        raise Obstacle("two WITH entries that its SELECT needs have one name.", "Give them different names.")
    if not all(is_repeatable(value["query_node"]) for _, value in definitions):
        raise _unsteady()
    numbers = itertools.count()
    source = rebuilt(block.node["from_table"], lambda node: _named(node, numbers))
    if any(node.get("sample") for node in objects(source)):
        raise Obstacle("such columns are not aggregated over a sample.", "Leave the sample out.")
    return with_definitions({**block.node, "from_table": source}, definitions)


def _check_shared(rest: Node) -> None:
    """What the rest of the block still reads of its own WITH was worked out for the relation, too."""
    own = {str(entry["key"]).lower(): entry["value"]["query_node"] for entry in rest["cte_map"].get("map") or []}
    is_shared = names_of({**rest, "cte_map": {"map": []}}).borrowed & own.keys()
    if is_shared and not all(map(is_repeatable, own.values())):
        raise _unsteady()


def _unsteady() -> Obstacle:
    rule = "what is aggregated gives the same rows each time; a WITH entry with LIMIT, windows or samples may not."
    return Obstacle(rule, "Write the WITH entry as a subquery in FROM.")


def _named(node: Node, numbers: Iterator[int]) -> Node | None:
    """Subqueries in FROM that have no name get one that nobody uses."""
    if node.get("class") == "SUBQUERY" or node.get("type") != "SUBQUERY" or node.get("alias"):
        return node if node.get("type") == "SUBQUERY" else None
    return {**node, "alias": f"unnamed part {next(numbers)}"}


def _protected(piece: Piece, relation: Relation, protection: Protection) -> list[Label]:
    return protected_labels(relation, protection, [column.name for column in piece.binding.columns])


def _in_own_words(refused: PolicyRefused) -> PolicyRefused:
    """Without the names of the relation's columns, which nobody wrote."""
    rule = _GROUP.sub("in GROUP BY", str(refused.data["rule"]))
    return PolicyRefused(**{**refused.data, "rule": rule})


def _rows(layout: Layout) -> dict[str, int]:
    sent = {parcel.proposal.occurrence.name: parcel.proposal.estimate.rows for parcel in layout.parcels}
    return {each.name: sent.get(each.name, each.dataset.rows) for each in layout.piece.occurrences}


def _decision(origins: Sequence[Origin], dataset: CataloguedDataset) -> str:
    names = ", ".join(f"{origin.lake}.{origin.dataset}.{origin.column}" for origin in origins)
    least = max(origin.min_group or 0 for origin in origins)
    entities = " and ".join(dict.fromkeys(str(origin.entity) for origin in origins))
    shares = [origin.max_share for origin in origins if origin.max_share is not None]
    share = f", none of which makes more than {min(shares):.0%} of a sum" if shares else ""
    return (
        f"{names}: only groups of at least {least} different {entities}{share} leave step {dataset.name} at "
        f"{dataset.site}; smaller ones are withheld."
    )
