"""The agent's own look at every step it is given: it does not trust the control plane to have looked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from datacanal.domain.errors import KernelMismatch, StepRefused
from datacanal.protocol.catalogue import Snapshot
from datacanal.protocol.plan import DatasetInput, Plan, PlanColumn, Step, TransferInput
from datacanal.protocol.site import Lease, Offer

_MADE_WRONG = "This is a fault of the control plane or of its link: give the operator the job id."
_PLAN_AGAIN = "Run the job again; it is then planned over what the site has now."


@dataclass(frozen=True)
class Site:
    """What an agent knows of itself."""

    name: str
    kernel: str
    functions: str
    lakes: frozenset[str]


@dataclass(frozen=True)
class CheckedStep:
    """A step that may run here, with all it names found: snapshots by occurrence, offers by sending step."""

    step: Step
    snapshots: Mapping[str, Snapshot]
    offers: Mapping[str, Offer]


def check_lease(lease: Lease, site: Site, snapshot_of: Callable[[str], Snapshot | None]) -> CheckedStep:
    """The step of the lease if it may run at this site. Raises `StepRefused` or `KernelMismatch`."""
    plan = lease.plan
    if plan.digest != lease.plan_digest:
        raise _refused(site, "the plan does not have the digest that the lease names", _MADE_WRONG)
    _check_versions(plan, site)
    step = next((step for step in plan.steps if step.id == lease.step), None)
    if step is None or step.site != site.name:
        raise _refused(site, "the plan has no such step for this site", _MADE_WRONG)
    if lease.is_result != (plan.result_step == step.id):
        raise _refused(site, "plan and lease disagree about which step makes the result", _MADE_WRONG)
    _check_consumers(lease, step, site)
    datasets = [item for item in step.inputs if isinstance(item, DatasetInput)]
    transfers = [item for item in step.inputs if isinstance(item, TransferInput)]
    return CheckedStep(
        step,
        {item.occurrence: _snapshot(item, site, snapshot_of) for item in datasets},
        {item.from_step: _offer(item, lease, step, site) for item in transfers},
    )


def _refused(site: Site, reason: str, hint: str) -> StepRefused:
    return StepRefused(site=site.name, reason=reason, hint=hint)


def _check_versions(plan: Plan, site: Site) -> None:
    if plan.kernel != site.kernel:
        raise KernelMismatch(site=site.name, found=f"DuckDB {site.kernel}", needed=f"DuckDB {plan.kernel}")
    if plan.functions != site.functions:
        found, needed = f"function list {site.functions}", f"function list {plan.functions}"
        raise KernelMismatch(site=site.name, found=found, needed=needed)


def _check_consumers(lease: Lease, step: Step, site: Site) -> None:
    planned = {(move.to_step, move.to_site) for move in lease.plan.transfers if move.from_step == step.id}
    for consumer in lease.consumers:
        if (consumer.step, consumer.site) not in planned:
            reason = f"the plan moves nothing from step {step.id} to site {consumer.site!r}"
            raise _refused(site, reason, _MADE_WRONG)


def _snapshot(item: DatasetInput, site: Site, snapshot_of: Callable[[str], Snapshot | None]) -> Snapshot:
    name = f"{item.lake}.{item.dataset}"
    if item.lake not in site.lakes:
        raise _refused(site, f"the lake {item.lake!r} is not at this site", _MADE_WRONG)
    snapshot = snapshot_of(item.snapshot)
    if snapshot is None or (snapshot.lake, snapshot.dataset) != (item.lake, item.dataset):
        raise _refused(site, f"the snapshot {item.snapshot} of {name} is not known", _PLAN_AGAIN)
    declared = [(column.name, column.type) for column in item.columns]
    if declared != [(column.name, column.type) for column in snapshot.columns]:
        raise _refused(site, f"the columns of {name} are not those of its snapshot", _PLAN_AGAIN)
    return snapshot


def _offer(item: TransferInput, lease: Lease, step: Step, site: Site) -> Offer:
    sender = next((other for other in lease.plan.steps if other.id == item.from_step), None)
    moves = [move for move in lease.plan.transfers if (move.from_step, move.to_step) == (item.from_step, step.id)]
    offers = [offer for offer in lease.inputs if offer.step == item.from_step]
    if sender is None or len(moves) != 1 or len(offers) != 1:
        raise _refused(site, f"the transfer from step {item.from_step} is not declared once in the plan", _MADE_WRONG)
    (move,), (offer,) = moves, offers
    if (move.from_site, move.to_site, offer.site) != (sender.site, site.name, sender.site):
        raise _refused(site, f"plan and offer disagree about where step {item.from_step} ran", _MADE_WRONG)
    if not _same(offer.columns, sender.columns) or (not item.counted and not _same(item.shipped, sender.columns)):
        raise _refused(site, f"the columns of step {item.from_step} are not those that were planned", _MADE_WRONG)
    _check_address(offer, site)
    return offer


def _same(columns: Sequence[PlanColumn], planned: Sequence[PlanColumn]) -> bool:
    return [(column.name, column.type) for column in columns] == [(column.name, column.type) for column in planned]


def _check_address(offer: Offer, site: Site) -> None:
    parts = urlsplit(offer.url)
    if parts.path != f"/v1/transfers/{offer.output}" or parts.query:
        raise _refused(site, f"the address of the output {offer.output} is none of an exchange", _MADE_WRONG)
    if parts.scheme != "https" or not parts.hostname:
        raise _refused(site, f"the address of site {offer.site!r} is none of an exchange", _MADE_WRONG)
