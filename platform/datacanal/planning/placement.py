"""Where the relations of a piece meet: of the sites that are legal, the one for which the fewest bytes have to move."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from datacanal.planning.legality import bound_columns, classes_of, no_legal_plan, stays
from datacanal.planning.shipments import Proposal
from datacanal.planning.subtrees import Subtree
from datacanal.protocol.plan import Alternative, Meeting


@dataclass(frozen=True)
class Offer:
    """A subtree, with its output as it would travel."""

    subtree: Subtree
    proposal: Proposal

    @property
    def is_legal(self) -> bool:
        """Whether it may leave its site."""
        return self.subtree.may_leave and not bound_columns(self.subtree.output.dataset, self.proposal.columns)


@dataclass(frozen=True)
class Place:
    """A site where everything could meet: what would move to it, and what may not."""

    site: str
    bytes: int
    subtrees: tuple[Subtree, ...]
    held: dict[str, list[str]]


def choose_place(proposals: Sequence[Proposal], offers: Sequence[Offer] = ()) -> tuple[Place, Meeting]:
    """The cheapest of the legal sites that hold something of the piece, with what the others would have cost.

    Equal costs go to the site that reads more, then to the first name, so that the same statement gives the same plan.
    Raises `NoLegalPlan`.
    """
    sites = sorted({proposal.occurrence.dataset.site for proposal in proposals})
    places = [_place(site, proposals, offers) for site in sites]
    legal = [place for place in places if not place.held]
    if not legal:
        columns = [column for proposal in proposals for column in proposal.occurrence.dataset.columns]
        held = {site: names for place in places for site, names in place.held.items()}
        raise no_legal_plan(held, classes_of(columns))
    reads = {site: _read_bytes(proposals, site) for site in sites}
    legal.sort(key=lambda place: (place.bytes, -reads[place.site], place.site))
    best = legal[0]
    others = [*_dearer(legal[1:]), *_illegal(place for place in places if place.held)]
    return best, Meeting(site=best.site, bytes=best.bytes, reason=_reason(legal, len(places)), alternatives=others)


def local_meeting(site: str) -> Meeting:
    """The meeting of a statement whose datasets are all at one site."""
    return Meeting(site=site, bytes=0, reason="all datasets are here, nothing moves")


def anywhere_meeting(site: str, others: Iterable[str]) -> Meeting:
    """The meeting of a statement without datasets."""
    alternatives = [Alternative(choice=other, bytes=0, reason="any site would do") for other in others]
    return Meeting(site=site, bytes=0, reason="the statement reads no dataset", alternatives=alternatives)


def moved_bytes(proposals: Sequence[Proposal], site: str) -> int:
    """Estimated wire bytes if everything met at the site. What two occurrences need alike moves once."""
    moving = {p.identity: p.estimate.bytes for p in proposals if p.occurrence.dataset.site != site}
    return sum(moving.values())


def _place(site: str, proposals: Sequence[Proposal], offers: Sequence[Offer]) -> Place:
    chosen = [offer for offer in offers if offer.subtree.site != site and _is_better(offer, proposals)]
    inside = {occurrence.name for offer in chosen for occurrence in offer.subtree.piece.occurrences}
    moving = [p for p in proposals if p.occurrence.dataset.site != site and p.occurrence.name not in inside]
    held: dict[str, list[str]] = {}
    for proposal in moving:
        if names := _held(proposal):
            held.setdefault(proposal.occurrence.dataset.site, []).extend(names)
    cost = moved_bytes([*moving, *(offer.proposal for offer in chosen)], site)
    return Place(site, cost, tuple(offer.subtree for offer in chosen), held)


def _is_better(offer: Offer, proposals: Sequence[Proposal]) -> bool:
    """Whether the subtree's output should travel instead of its datasets.

    What its datasets may not tell elsewhere, its output may not either: labels are only ever joined.
    """
    inside = {occurrence.name for occurrence in offer.subtree.piece.occurrences}
    instead = sum(proposal.estimate.bytes for proposal in proposals if proposal.occurrence.name in inside)
    # Equal estimates are no reason for one more step to wait for.
    return offer.is_legal and offer.proposal.estimate.bytes < instead


def _held(proposal: Proposal) -> list[str]:
    return bound_columns(proposal.occurrence.dataset, proposal.columns)


def _read_bytes(proposals: Sequence[Proposal], site: str) -> int:
    return sum(p.estimate.scanned_bytes for p in proposals if p.occurrence.dataset.site == site)


def _dearer(places: Iterable[Place]) -> list[Alternative]:
    reason = "no fewer bytes would move to it"
    return [Alternative(choice=place.site, bytes=place.bytes, reason=reason) for place in places]


def _illegal(places: Iterable[Place]) -> list[Alternative]:
    named = ((place.site, [name for names in place.held.values() for name in names]) for place in places)
    return [Alternative(choice=site, bytes=0, reason=stays(names)) for site, names in named]


def _reason(legal: Sequence[Place], count: int) -> str:
    if len(legal) == 1 and count > 1:
        return "no other site may see what it would have to"
    if len(legal) > 1 and legal[0].bytes == legal[1].bytes:
        return "as few bytes move as to any other site, and it reads the most itself"
    return "the fewest bytes move to it"
