"""What a site tells of its lakes and datasets, and shows its own steps of them: what the policy in force lets it."""

from __future__ import annotations

from collections.abc import Collection

from datacanal.domain.errors import DatacanalError, DatasetUnreadable
from datacanal.protocol.catalogue import DatasetReport, LakeReport, Snapshot
from datacanal.protocol.problem import problem_of
from datacanal.site.policy import Policy
from datacanal.site.policy.book import PolicyBook
from datacanal.site.policy.governed import Governance, GovernedDataset, orphans
from datacanal.site.policy.problems import Finding, PolicyProblem, told
from datacanal.site.policy.statistics import told_summary
from datacanal.site.step_datasets import Shown


class Telling:
    """Says nothing that the policy does not let out; what a policy leaves unclear is withheld."""

    def __init__(self, book: PolicyBook, governance: Governance) -> None:
        self._book = book
        self._governance = governance

    def reload(self) -> bool:
        """Look at the policy files again; True where what is told changes."""
        return self._book.reload()

    def lake(self, lake: str, datasets: Collection[str], problem: DatacanalError | None) -> LakeReport:
        """A lake with those datasets; `problem` is why it cannot be listed."""
        policy = self._book.current(lake)
        misnamed = [found for found, _ in orphans(policy, datasets) if not found.warning] if problem is None else []
        problem = problem or self._book.problem(lake) or (self._told(lake, misnamed) if misnamed else None)
        told_problem = None if problem is None else problem_of(problem)
        return LakeReport(name=lake, policy_digest=policy.digest, problem=told_problem)

    def dataset(self, snapshot: Snapshot, datasets: Collection[str]) -> DatasetReport:
        """A dataset whose files can be read, among the datasets of its lake."""
        policy = self._book.current(snapshot.lake)
        seen = self._governance.of(policy, snapshot)
        if found := self._findings(policy, seen, snapshot, datasets):
            return unread(snapshot.lake, snapshot.dataset, self._told(snapshot.lake, found))
        return DatasetReport(
            lake=snapshot.lake,
            name=snapshot.dataset,
            columns=list(seen.columns),
            snapshot=told_summary(snapshot, governed=seen.governed),
            key=list(seen.key),
            entity=seen.entity,
            readers=None if seen.readers is None else list(seen.readers),
            grants=list(seen.grants),
            governed=seen.governed,
            python=policy.dataset(snapshot.dataset).python,
        )

    def shown(self, policy: Policy, snapshot: Snapshot, datasets: Collection[str]) -> Shown:
        """What steps see of the dataset under the policy. Raises `DatasetUnreadable` where the two do not fit."""
        seen = self._governance.of(policy, snapshot)
        if found := self._findings(policy, seen, snapshot, datasets):
            name = f"{snapshot.lake}.{snapshot.dataset}"
            raise DatasetUnreadable(dataset=name, reason=self._told(snapshot.lake, found).detail)
        return Shown(seen.plan_columns, seen.rules)

    def _findings(
        self, policy: Policy, seen: GovernedDataset, snapshot: Snapshot, datasets: Collection[str]
    ) -> list[Finding]:
        misnamed = [found for found, near in orphans(policy, datasets) if near == snapshot.dataset]
        return [*seen.findings, *misnamed]

    def _told(self, lake: str, found: list[Finding]) -> DatacanalError:
        text = self._book.text(lake)
        return told([PolicyProblem(each) if text is None else text.problem(each) for each in found])


def unread(lake: str, dataset: str, problem: DatacanalError) -> DatasetReport:
    """A dataset that nobody can use, and why."""
    return DatasetReport(lake=lake, name=dataset, columns=[], snapshot=None, problem=problem_of(problem))
