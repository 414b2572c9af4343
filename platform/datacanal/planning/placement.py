"""Where the relations meet: the site for which the fewest bytes have to move."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from datacanal.planning.shipments import Proposal
from datacanal.protocol.plan import Alternative, Meeting


def choose_meeting(proposals: Sequence[Proposal]) -> Meeting:
    """The cheapest of the sites that hold a dataset of the statement, with what the others would have cost.

    Equal costs go to the site that reads more, then to the first name, so that the same statement gives the same plan.
    """
    sites = sorted({proposal.occurrence.dataset.site for proposal in proposals})
    costs = {site: moved_bytes(proposals, site) for site in sites}
    reads = {site: _read_bytes(proposals, site) for site in sites}
    ordered = sorted(sites, key=lambda site: (costs[site], -reads[site], site))
    best = ordered[0]
    return Meeting(
        site=best,
        bytes=costs[best],
        reason=_reason(best, ordered, costs),
        alternatives=[
            Alternative(choice=site, bytes=costs[site], reason="no fewer bytes would move to it")
            for site in ordered[1:]
        ],
    )


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


def _read_bytes(proposals: Sequence[Proposal], site: str) -> int:
    return sum(p.estimate.scanned_bytes for p in proposals if p.occurrence.dataset.site == site)


def _reason(best: str, ordered: Sequence[str], costs: dict[str, int]) -> str:
    if len(ordered) > 1 and costs[best] == costs[ordered[1]]:
        return "as few bytes move as to any other site, and it reads the most itself"
    return "the fewest bytes move to it"
