"""The agent's own look at every step it is given: it does not trust the control plane to have looked.

From the control plane it takes intent only. Whatever can hurt is worked out again from the site's own policies, or
verified with keys that the site pinned; see docs/decisions/0004.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from datacanal.domain.errors import (
    ConstructNotAllowed,
    DatacanalError,
    DatasetNotFound,
    FunctionNotAllowed,
    KernelMismatch,
    Kind,
    NotASelect,
    OutputLost,
    SqlBadText,
    SqlSyntax,
    SqlTooDeep,
    SqlTooLong,
)
from datacanal.protocol.authority import Authority
from datacanal.protocol.base import digest_of
from datacanal.protocol.plan import Plan, PlanColumn, Step
from datacanal.protocol.site import Lease, Offer
from datacanal.site.authorities import SKEW_S, Authorities
from datacanal.site.labels_seal import received_labels
from datacanal.site.python_shape import check_python
from datacanal.site.python_steps import PythonSteps, VerifiedPython
from datacanal.site.record.entry import Entry
from datacanal.site.step_datasets import Datasets, DatasetUse
from datacanal.site.step_links import OwnOutputs, Pins, arriving, at_hand, check_consumers
from datacanal.site.step_shape import check_shape, refused
from datacanal.site.store.fences import FenceBook, LeaseFence

_LARGEST = 2**62
_NEVER_PLANNED = frozenset(
    error.code
    for error in (
        ConstructNotAllowed,
        DatasetNotFound,
        FunctionNotAllowed,
        NotASelect,
        SqlBadText,
        SqlSyntax,
        SqlTooDeep,
        SqlTooLong,
    )
)


@dataclass(frozen=True)
class Site:
    """What an agent knows of itself."""

    name: str
    kernel: str
    functions: str
    lakes: frozenset[str]


@dataclass(frozen=True)
class VerifiedStep:
    """A step that may run here, with all it names found.

    `datasets` by occurrence, `offers` (outputs to be fetched) and `at_hand` (outputs of this site) by sending step;
    `python` for a step that runs a function.
    """

    step: Step
    authority: Authority
    datasets: Mapping[str, DatasetUse]
    offers: Mapping[str, Offer]
    at_hand: Mapping[str, Path]
    python: VerifiedPython | None = None


@dataclass(frozen=True)
class StepVerifier:
    """Blocking; safe to call from several threads. What it refuses, it records."""

    site: Site
    authorities: Authorities
    datasets: Datasets
    python: PythonSteps
    pins: Pins
    outputs: OwnOutputs
    fences: FenceBook
    record: Callable[[Entry], object]
    clock: Callable[[], datetime]

    def verified(self, lease: Lease) -> VerifiedStep:
        """The step of the lease, if it may run at this site.

        Raises `StepRefused`, `AuthorityRefused`, `KernelMismatch`, `PolicyChanged`, `LabelsDiffer`, `NotAReader`,
        `PeerUnknown`, `PythonRefused`, `ApprovalNeeded`; and `OutputLost` where an output of this very site is gone.
        """
        try:
            return self._verified(lease)
        except OutputLost:
            raise
        except DatacanalError as error:
            self.refuse(lease, error)
            raise

    def check_received(self, lease: Lease, sender: str, file: Path) -> list[PlanColumn]:
        """The columns of a fetched output with the labels that its sender signed: those that were planned.

        Raises `TransferDamaged`, `LabelsDiffer` or `PeerUnknown`.
        """
        step = lease.plan.step(sender)
        try:
            return received_labels(file, lease, step, self.pins.key_of(step.site), self.site.name)
        except DatacanalError as error:
            self.refuse(lease, error)
            raise

    def check_approved(self, lease: Lease, verified: VerifiedStep) -> None:
        """Whether a function is approved still, before what it returned goes to the gate. Raises `ApprovalNeeded`."""
        if verified.python is None:
            return
        try:
            self.python.check_approved(verified.python)
        except DatacanalError as error:
            self.refuse(lease, error)
            raise

    def note_failure(self, lease: Lease, error: DatacanalError) -> None:
        """Record a failure of the pool, if it is a refusal.

        What no statement may say was refused by the planner already: what of it comes here was forged.
        """
        if error.kind is Kind.POLICY or error.code in _NEVER_PLANNED:
            self.refuse(lease, error)

    def refuse(self, lease: Lease, error: DatacanalError) -> None:
        """Record that the step was refused. Counts that no column can hold are left out."""
        self.record(
            Entry(
                at_ms=int(self.clock().timestamp() * 1000),
                kind="step",
                decision="refused",
                tenant=lease.tenant,
                principal=lease.principal,
                purpose=lease.purpose,
                job=lease.job,
                step=lease.step,
                fence=lease.fence if abs(lease.fence) < _LARGEST else 0,
                plan_digest=lease.plan_digest,
                reason=f"{error.code}: {error.detail}",
            )
        )

    def _verified(self, lease: Lease) -> VerifiedStep:
        site = self.site.name
        step = check_shape(lease, site)
        check_python(lease.plan, site)
        authority = self.authorities.of_lease(lease)
        _check_versions(lease.plan, self.site)
        datasets = self.datasets.used_by(step, authority, self.clock().timestamp())
        python = self.python.verified(lease, authority)
        check_consumers(lease, step, site, self.pins)
        offers = arriving(lease, step, site, self.pins)
        outputs = at_hand(lease, step, site, self.outputs)
        self._take_fence(lease, authority)
        return VerifiedStep(step, authority, datasets, offers, outputs, python if step.kind == "python" else None)

    def _take_fence(self, lease: Lease, authority: Authority) -> None:
        taken = LeaseFence(
            job=lease.job,
            step=lease.step,
            fence=lease.fence,
            lease=digest_of(lease.model_dump(mode="json", exclude={"plan"})),
            tenant=lease.tenant,
            principal=lease.principal,
            expires_ms=min(authority.expires_s + SKEW_S, _LARGEST // 1000) * 1000,
        )
        noted = self.fences.take(taken, int(self.clock().timestamp() * 1000))
        if noted is not None:
            told = f"under fence {noted.fence} to {noted.principal!r}"
            raise refused(self.site.name, f"the lease under fence {lease.fence} is from the past: one was {told}")


def _check_versions(plan: Plan, site: Site) -> None:
    if plan.kernel != site.kernel:
        raise KernelMismatch(site=site.name, found=f"DuckDB {site.kernel}", needed=f"DuckDB {plan.kernel}")
    if plan.functions != site.functions:
        found, needed = f"function list {site.functions}", f"function list {plan.functions}"
        raise KernelMismatch(site=site.name, found=found, needed=needed)
