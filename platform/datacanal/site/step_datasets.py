"""The datasets of a step as the site's own policy shows them: snapshot, columns with types and labels, and readers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from datacanal.domain.errors import LabelsDiffer, NotAReader
from datacanal.domain.readers import may_read
from datacanal.protocol.authority import Authority
from datacanal.protocol.catalogue import Snapshot
from datacanal.protocol.plan import DatasetInput, PlanColumn, Step
from datacanal.site.engine.specification import ViewRules
from datacanal.site.policy import Policy
from datacanal.site.step_shape import refused

_PLAN_AGAIN = "Run the job again; it is then planned over what the site has now."


@dataclass(frozen=True)
class Shown:
    """A dataset behind its policy: the columns that statements see, and what is put between (None: nothing)."""

    columns: Sequence[PlanColumn]
    rules: ViewRules | None


@dataclass(frozen=True)
class DatasetUse:
    """A dataset as a step may read it. `policy` is the one that the job was planned under."""

    snapshot: Snapshot
    policy: Policy
    rules: ViewRules | None


class Policies(Protocol):
    """The policies of the site's lakes; `PolicyBook` is the real one."""

    def at(self, lake: str, digest: str, issued_s: int) -> Policy:
        """The policy of that digest, if it held for what was issued then. Raises `PolicyChanged`."""
        ...


@dataclass(frozen=True)
class Datasets:
    """`show` is what a policy makes of a snapshot."""

    site: str
    lakes: frozenset[str]
    snapshot_of: Callable[[str], Snapshot | None]
    policies: Policies
    show: Callable[[Policy, Snapshot], Shown]

    def used_by(self, step: Step, authority: Authority, now_s: float) -> dict[str, DatasetUse]:
        """The datasets that the step reads, by occurrence.

        Raises `StepRefused`, `PolicyChanged`, `LabelsDiffer` or `NotAReader`.
        """
        items = [item for item in step.inputs if isinstance(item, DatasetInput)]
        return {item.occurrence: self._use(item, authority, now_s) for item in items}

    def _use(self, item: DatasetInput, authority: Authority, now_s: float) -> DatasetUse:
        snapshot = self._snapshot(item)
        policy = self.policies.at(item.lake, self._policy_named(item), authority.issued_s)
        shown = self.show(policy, snapshot)
        self._check_columns(item, shown.columns)
        _check_reader(item, policy, authority, now_s)
        return DatasetUse(snapshot, policy, shown.rules)

    def _snapshot(self, item: DatasetInput) -> Snapshot:
        name = f"{item.lake}.{item.dataset}"
        if item.lake not in self.lakes:
            raise refused(self.site, f"the lake {item.lake!r} is not at this site")
        snapshot = self.snapshot_of(item.snapshot)
        if snapshot is None or (snapshot.lake, snapshot.dataset) != (item.lake, item.dataset):
            raise refused(self.site, f"the snapshot {item.snapshot} of {name} is not known", _PLAN_AGAIN)
        return snapshot

    def _policy_named(self, item: DatasetInput) -> str:
        """The digest of the policy that the plan was made under: every label of the dataset names it."""
        owners = {(owner.lake, owner.dataset, owner.policy) for each in item.columns for owner in each.label.owners}
        match list(owners):
            case [(item.lake, item.dataset, digest)]:
                return digest
        raise self._differ(item, item.columns, "they do not name the dataset and its policy as their one owner")

    def _check_columns(self, item: DatasetInput, own: Sequence[PlanColumn]) -> None:
        if [(each.name, each.type) for each in item.columns] != [(each.name, each.type) for each in own]:
            name = f"{item.lake}.{item.dataset}"
            raise refused(self.site, f"the columns of {name} are not those of its snapshot", _PLAN_AGAIN)
        wrong = [told for told, mine in zip(item.columns, own, strict=True) if told.label != mine.label]
        if wrong:
            raise self._differ(item, wrong, "its policy says otherwise")

    def _differ(self, item: DatasetInput, columns: Sequence[PlanColumn], reason: str) -> LabelsDiffer:
        names = ", ".join(f"{item.lake}.{item.dataset}.{column.name}" for column in columns)
        return LabelsDiffer(site=self.site, columns=names, reason=reason)


def _check_reader(item: DatasetInput, policy: Policy, authority: Authority, now_s: float) -> None:
    reason = may_read(
        policy.dataset(item.dataset).readers,
        policy.grants_of(item.dataset),
        principal=authority.principal,
        groups=authority.groups,
        purpose=authority.purpose,
        now_s=now_s,
    )
    if reason is not None:
        raise NotAReader(principal=authority.principal, dataset=f"{item.lake}.{item.dataset}", reason=reason)
