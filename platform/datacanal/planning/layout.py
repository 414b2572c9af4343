"""A piece laid out: its site, what moves there, and every label."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from datacanal.domain.errors import PolicyRefused, SiteUnreachable
from datacanal.planning.binding import Binding
from datacanal.planning.catalogue import Catalogue
from datacanal.planning.join_groups import read_join_groups
from datacanal.planning.labelling import bare_columns, catalogued_tables, check_transfer, columns_of, labelled, traced
from datacanal.planning.pieces import Node, Piece, Text, Workbench, column_node, select_node, tree_of
from datacanal.planning.placement import Offer, anywhere_meeting, choose_place, local_meeting
from datacanal.planning.rules import Rules
from datacanal.planning.shipments import Proposal, Shipment, propose, settle
from datacanal.planning.subtrees import Subtree, cut, find_subtrees
from datacanal.protocol.plan import Meeting, PlanColumn

_ROWS: Node = {
    "class": "FUNCTION",
    "type": "FUNCTION",
    "alias": "rows",
    "function_name": "count_star",
    "qualified_name": {"path": ["count_star"]},
    "order_bys": {"type": "ORDER_MODIFIER"},
}


@dataclass(frozen=True)
class Parcel:
    """Something that travels: what it is, the SQL that makes it, and the labels under which it leaves.

    `subtree` is the part of the statement that makes it. Without SQL a step makes it anyway.
    """

    shipment: Shipment
    sql: str
    columns: Sequence[PlanColumn]
    subtree: Subtree | None = None

    @property
    def proposal(self) -> Proposal:
        """Columns, rows and estimates."""
        return self.shipment.proposal


@dataclass(frozen=True)
class Layout:
    """A piece at its site, and what is sent to it."""

    piece: Piece
    meeting: Meeting
    parcels: Sequence[Parcel]

    @property
    def site(self) -> str:
        """Where it runs."""
        return self.meeting.site


class Surveyor:
    """Lays out the pieces of one statement."""

    def __init__(self, bench: Workbench, catalogue: Catalogue, rules: Rules) -> None:
        self._bench = bench
        self._catalogue = catalogue
        self._rules = rules
        self._made: set[str] = set()

    def lay_out(self, piece: Piece) -> Layout:
        """The piece at the best of its legal sites. Raises `NoLegalPlan`, or `SiteUnreachable` where there is none."""
        self._made.add(piece.id)
        if not piece.sites:
            return Layout(piece, self._anywhere(), ())
        if len(piece.sites) == 1:
            return Layout(piece, local_meeting(piece.sites[0]), ())
        proposals = self.proposals(piece)
        subtrees = self._subtrees(piece, proposals)
        whole = cut(piece, subtrees, self._bench) if subtrees else None
        offers = self._offers(whole, subtrees) if whole else []
        place, meeting = choose_place(proposals, offers)
        if place.subtrees:
            chosen = whole if len(place.subtrees) == len(offers) else cut(piece, place.subtrees, self._bench)
            if chosen is None:
                raise AssertionError("a statement from which all parts can be cut holds without some of the cuts")
            piece, proposals = chosen, self.proposals(chosen)
        leaving = [proposal for proposal in proposals if proposal.occurrence.dataset.site != place.site]
        return Layout(piece, meeting, self._parcels(leaving, place.subtrees))

    def proposals(self, piece: Piece) -> list[Proposal]:
        """What each occurrence of the piece would put on the wire."""
        datasets = [each.name for each in piece.occurrences if not each.dataset.is_output]
        groups = read_join_groups(piece.binding.bound, datasets) if self._rules.join_groups else []
        found = propose(self._bench.binder, piece.occurrences, piece.demands, piece.prefix, groups)
        return [_as_made(each) if each.occurrence.dataset.name in self._made else each for each in found]

    def _anywhere(self) -> Meeting:
        sites = sorted(self._catalogue.connected)
        if not sites:
            raise SiteUnreachable(site="(any)", reason="no site is connected")
        return anywhere_meeting(sites[0], sites[1:])

    def _subtrees(self, piece: Piece, proposals: Sequence[Proposal]) -> list[Subtree]:
        if not self._rules.subtrees:
            return []
        rows = {proposal.occurrence.name: proposal.estimate.rows for proposal in proposals}
        return find_subtrees(piece, self._bench, rows)

    def _offers(self, whole: Piece, subtrees: Sequence[Subtree]) -> list[Offer]:
        found = {proposal.occurrence.name: proposal for proposal in self.proposals(whole)}
        return [Offer(subtree, found[subtree.output.name]) for subtree in subtrees if subtree.output.name in found]

    def _parcels(self, leaving: Sequence[Proposal], subtrees: Sequence[Subtree]) -> list[Parcel]:
        by_name = {subtree.output.name: subtree for subtree in subtrees}
        made = [each for each in leaving if each.occurrence.dataset.name in self._made]
        others = [each for each in leaving if each.occurrence.dataset.name not in self._made]
        return [*self._settled(others, by_name), *map(_whole, made)]

    def _settled(self, proposals: Sequence[Proposal], subtrees: Mapping[str, Subtree]) -> list[Parcel]:
        """Labelled. A filter that only makes it illegal stays behind."""
        shipments = settle(self._bench.binder, proposals, self._bench.prefix, self._bench.now)
        wrapped = {id(each): self._text(each, subtrees.get(each.proposal.occurrence.name)) for each in shipments}
        texts = [text for text in wrapped.values() if text is not None]
        bindings = iter(self._bench.ask(texts) if texts else [])
        parcels = []
        for shipment in shipments:
            text, subtree = wrapped[id(shipment)], subtrees.get(shipment.proposal.occurrence.name)
            if text is None:
                parcels.append(_bare(shipment))
                continue
            try:
                parcels.append(Parcel(shipment, text.sql, _checked(next(bindings), text), subtree))
            except PolicyRefused:
                lighter = _lighter(shipment.proposal)
                if lighter is None:
                    raise
                parcels += self._settled([lighter], subtrees)
        return parcels

    def _text(self, shipment: Shipment, subtree: Subtree | None) -> Text | None:
        """The text that lineage is asked for; None for columns of all rows of a dataset, which keep their labels."""
        proposal = shipment.proposal
        if subtree is not None:
            return self._bench.write(_subtree_tree(subtree, proposal))
        if not proposal.partners and proposal.condition is None:
            return None
        return Text(shipment.sql, {}, shipment.reads, {})


def _checked(binding: Binding, text: Text) -> list[PlanColumn]:
    relation = traced(binding, catalogued_tables(text.occurrences))
    columns = labelled(binding, relation)
    check_transfer(columns, relation)
    return columns


def _lighter(proposal: Proposal) -> Proposal | None:
    """The same with fewer conditions, as long as there are any."""
    if proposal.partners:
        return proposal.alone()
    return proposal.without_filters(frozenset({proposal.occurrence.name})) if proposal.condition else None


def _bare(shipment: Shipment) -> Parcel:
    proposal = shipment.proposal
    return Parcel(shipment, shipment.sql, bare_columns(proposal.occurrence.dataset, proposal.columns))


def _as_made(proposal: Proposal) -> Proposal:
    """The output of a step that runs anyway travels as it is."""
    columns = tuple(range(len(proposal.occurrence.dataset.columns)))
    lighter = proposal.alone().without_filters(frozenset({proposal.occurrence.name}))
    return dataclasses.replace(lighter, columns=columns, estimate=proposal.whole)


def _whole(proposal: Proposal) -> Parcel:
    dataset = proposal.occurrence.dataset
    return Parcel(Shipment(proposal, "", ""), "", columns_of(dataset))


def _subtree_tree(subtree: Subtree, proposal: Proposal) -> Node:
    """The subtree with only the columns and rows that are needed."""
    dataset = subtree.output.dataset
    items = [column_node(dataset.columns[position].name) for position in proposal.columns] or [_ROWS]
    source = {"type": "SUBQUERY", "alias": subtree.piece.id, "subquery": {"node": subtree.node}}
    node = select_node(items, source)
    if proposal.condition is not None:
        node["where_clause"] = proposal.condition
    return tree_of(node)
