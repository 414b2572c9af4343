"""Is this a step at all? What can be seen in plan and lease alone, before policies, peers or files are looked at.

Everything here raises `StepRefused`: an honest planner never makes what is refused here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime

from datacanal.domain.errors import StepRefused
from datacanal.protocol.plan import DatasetInput, Entity, Measure, Plan, PlanColumn, Protection, Step, TransferInput
from datacanal.protocol.site import Lease

MADE_WRONG = "This is a fault of the control plane or of its link: give the operator the job id."
STEP_LAKE = "step"
"""The lake of outputs that are no dataset's: `step.<id>`. No lake can be called so."""
_ID = re.compile(r"^[A-Za-z0-9_]{1,64}$", re.ASCII)
_OCCURRENCE = re.compile(r"^occ(0|[1-9]\d{0,5})$", re.ASCII)
_LARGEST = 2**62
_LONGEST_EXPIRY_S = 366 * 86400


def refused(site: str, reason: str, hint: str = MADE_WRONG) -> StepRefused:
    """The error to raise."""
    return StepRefused(site=site, reason=reason, hint=hint)


def check_shape(lease: Lease, site: str) -> Step:
    """The leased step, if plan and lease make sense together and it is this site's."""
    _check_lease(lease, site)
    plan = lease.plan
    if plan.digest != lease.plan_digest:
        raise refused(site, "the plan does not have the digest that the lease names")
    _check_plan(plan, site)
    step = next((step for step in plan.steps if step.id == lease.step), None)
    if step is None or step.site != site:
        raise refused(site, "the plan has no such step for this site")
    _check_result(lease, step, site)
    _check_inputs(plan, step, site)
    _check_kind(step, site)
    return step


def _check_lease(lease: Lease, site: str) -> None:
    if not _ID.match(lease.job) or not _ID.match(lease.step):
        raise refused(site, "job and step have no proper ids")
    if not (0 < lease.fence < _LARGEST and 0 < lease.attempt < _LARGEST):
        raise refused(site, "fence and attempt are no counts")
    if not 0 < lease.result_expiry_s <= _LONGEST_EXPIRY_S:
        raise refused(site, "the result would be kept for no time that makes sense")


def _check_plan(plan: Plan, site: str) -> None:
    ids = [step.id for step in plan.steps]
    if len(set(ids)) != len(ids) or not all(_ID.match(each) for each in ids):
        raise refused(site, "the plan's steps have no proper ids")
    try:
        zone = datetime.fromisoformat(plan.now).tzinfo
    except ValueError:
        zone = None
    if zone is None:
        raise refused(site, "the plan's instant is none")


def _check_result(lease: Lease, step: Step, site: str) -> None:
    """A query or a function makes the result, and it goes to nobody but the submitter.

    Other query steps feed a function.
    """
    is_result = lease.plan.result_step == step.id
    if lease.is_result != is_result:
        raise refused(site, "plan and lease disagree about which step makes the result")
    maker = "python" if any(each.kind == "python" for each in lease.plan.steps) else "query"
    if is_result != (step.kind == maker):
        raise refused(site, f"a step of the kind {step.kind!r} does not make the result; a {maker} step does")
    if is_result and (lease.consumers or any(move.from_step == step.id for move in lease.plan.transfers)):
        raise refused(site, "the result is no input of another step")


def _check_inputs(plan: Plan, step: Step, site: str) -> None:
    names = [item.occurrence for item in step.inputs]
    if len(set(names)) != len(names) or not all(_OCCURRENCE.match(name) for name in names):
        raise refused(site, "the step's inputs are not told apart")
    for item in step.inputs:
        if isinstance(item, TransferInput):
            _check_transfer(plan, step, item, site)


def _check_transfer(plan: Plan, step: Step, item: TransferInput, site: str) -> None:
    sender = next((other for other in plan.steps if other.id == item.from_step), None)
    usable = ("query",) if step.kind == "python" else ("scan", "subtree", "aggregate")
    if sender is None or sender.kind not in usable:
        raise refused(site, f"step {item.from_step!r} has no output that a step may use")
    if (item.lake, item.dataset) != output_name(sender):
        raise refused(site, f"the output of step {sender.id} is called {item.lake}.{item.dataset}")
    if item.counted:
        _check_counted(item, sender, site)
        return
    if item.shipped != sender.columns:
        raise refused(site, f"the columns of step {sender.id} are not those that it sends")
    declared = {column.name.casefold(): column for column in item.columns}
    if len(declared) != len(item.columns) or any(
        declared.get(column.name.casefold()) != column for column in item.shipped
    ):
        raise refused(site, f"what step {sender.id} sends is read as something else")


def _check_counted(item: TransferInput, sender: Step, site: str) -> None:
    """Rows of which only the number is known: whatever that number depends on must be free to be seen."""
    if item.shipped or [column.type for column in sender.columns] != ["BIGINT"]:
        raise refused(site, f"step {sender.id} does not count")
    if not sender.columns[0].label.is_free:
        raise refused(site, f"the number of rows of step {sender.id} is not free to be seen")


def output_name(step: Step) -> tuple[str, str]:
    """Lake and dataset under which other steps read the output: a scan's is its dataset's, any other is `step.<id>`."""
    if step.kind == "scan" and step.inputs:
        given = step.inputs[0]
        return given.lake, given.dataset
    return STEP_LAKE, step.id


def _check_kind(step: Step, site: str) -> None:
    if step.kind == "scan" and not (step.inputs and all(isinstance(item, DatasetInput) for item in step.inputs)):
        raise refused(site, "a scan reads datasets of its site: the one that it gives, then those that it is joined to")
    if step.kind == "aggregate" and step.protection is not None:
        _check_protection(step, step.protection, site)
    elif step.kind == "aggregate" or step.protection is not None or step.relation:
        raise refused(site, "an aggregate step has a relation and a protection, and no other step has")


def _check_protection(step: Step, protection: Protection, site: str) -> None:
    """The relation is exactly what the protection names, and the step's columns are its groups and measures."""
    groups = _numbered("g", protection.groups)
    measured = _numbered("m", [each.column for each in protection.measures if each.column is not None])
    individuals = _numbered("e", [each.column for each in protection.entities])
    if [column.name for column in step.relation] != [*groups, *measured, *individuals]:
        raise refused(site, "the relation is not what the protection names")
    given = [*groups, *(f"a{number}" for number in range(len(protection.measures)))]
    if [column.name for column in step.columns] != given:
        raise refused(site, "the step's columns are not the groups and measures of its protection")
    relation = {column.name: column for column in step.relation}
    if not all(_fits(measure, measured) for measure in protection.measures):
        raise refused(site, "a measure has no column of the relation, or one that it cannot have")
    types = [relation[name].type for name in groups]
    if protection.groups != groups or types != [column.type for column in step.columns[: len(groups)]]:
        raise refused(site, "the groups are not those of the relation")
    if {each.column for each in protection.entities} != set(individuals):
        raise refused(site, "the individuals that are counted are not told apart")
    _check_entities(step.relation, protection.entities, site)


def _numbered(letter: str, named: Sequence[str]) -> list[str]:
    """The names that so many different columns of a kind must have."""
    return [f"{letter}{number}" for number in range(len(set(named)))]


def _fits(measure: Measure, measured: Sequence[str]) -> bool:
    if measure.column is None:
        return measure.function == "count_star"
    return measure.function != "count_star" and measure.column in measured


def _check_entities(relation: Sequence[PlanColumn], entities: Sequence[Entity], site: str) -> None:
    """Whoever demands that groups be large gets its individuals counted."""
    counted = {(each.lake, each.dataset) for each in entities}
    demanded = {
        (origin.lake, origin.dataset)
        for column in relation
        for origin in column.label.origins
        if origin.policy_class == "aggregate" and not origin.released
    }
    if missing := sorted(demanded - counted):
        names = ", ".join(f"{lake}.{dataset}" for lake, dataset in missing)
        raise refused(site, f"the individuals of {names} are not counted")
