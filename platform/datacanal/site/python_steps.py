"""May this function read what it asks for? Worked out from the site's own policies and its stewards' approvals.

It is asked when the first step of the plan comes to the site of the function, before anything is read for it, and again
before what the function returned goes to the gate.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from datacanal.domain.errors import PythonRefused
from datacanal.protocol.authority import Authority
from datacanal.protocol.plan import PlanColumn, PythonGiven, PythonWork, Step, StepInput, TransferInput
from datacanal.protocol.site import Lease
from datacanal.site.python_shape import python_step, sender_of, told_columns
from datacanal.site.step_datasets import Datasets, DatasetUse
from datacanal.site.step_shape import refused
from datacanal.site.store.approvals import Approval

_ASK_THE_OWNER = "Ask the data's owner to allow Python, or use SQL."


class Approvals(Protocol):
    """What stewards approved; `site.approvals.Approvals` is the real one."""

    def check(self, asked: Approval) -> None:
        """Raise `ApprovalNeeded`, and note the request, unless the function may read what it asks for."""
        ...


@dataclass(frozen=True)
class ProvidedTable:
    """A table for the function.

    `made_by` is the step that makes it (its file is among the offers, or at hand); None where `use` is the dataset
    itself, whose snapshot's own files are given. `use` is also there for the table of a dataset that a step makes.
    """

    given: PythonGiven
    columns: list[PlanColumn]
    made_by: str | None
    use: DatasetUse | None


@dataclass(frozen=True)
class VerifiedPython:
    """A function that may run here, in the image of that id. `asked` needs an approval; None where nothing does."""

    work: PythonWork
    image: str
    tables: list[ProvidedTable]
    asked: Approval | None

    @property
    def words(self) -> str:
        """What the record says of the result, besides what it says of every result."""
        code = self.work.code
        return f"returned by the function {code.name!r}, code {code.digest}, image {self.image}"


@dataclass(frozen=True)
class PythonSteps:
    """`image` tells the id of the image that a function which names that one runs in; it raises where there is none."""

    site: str
    datasets: Datasets
    approvals: Approvals
    image: Callable[[str | None], str]
    clock: Callable[[], datetime]

    def verified(self, lease: Lease, authority: Authority) -> VerifiedPython | None:
        """The function of the plan with its tables, if there is one and it is for this site.

        The plan's shape was checked. Raises `PythonRefused`, `ApprovalNeeded`, and what `Datasets.used_by` does.
        """
        step = python_step(lease.plan)
        if step is None or step.python is None or step.site != self.site:
            return None
        items = {item.occurrence: item for item in step.inputs}
        own = self.datasets.used_by(step, authority, self.clock().timestamp())
        tables = [self._table(given, items[given.occurrence], own, lease, authority) for given in step.python.given]
        image = self.image(step.python.image)
        found = VerifiedPython(step.python, image, tables, self._asked(lease, step.python, image, tables))
        self.check_approved(found)
        return found

    def check_approved(self, found: VerifiedPython) -> None:
        """Raise `ApprovalNeeded` where the function is not approved (any more)."""
        if found.asked is not None:
            self.approvals.check(found.asked)

    def _table(
        self,
        given: PythonGiven,
        item: StepInput,
        own: Mapping[str, DatasetUse],
        lease: Lease,
        authority: Authority,
    ) -> ProvidedTable:
        sender = sender_of(lease.plan, item)
        made_by = item.from_step if isinstance(item, TransferInput) else None
        use = own.get(item.occurrence)
        if use is not None and use.rules is not None:
            raise refused(self.site, f"the files of {given.name} are given, and its policy shows no raw ones")
        if given.kind == "dataset" and sender is not None:
            use = self._use_in(sender, authority)
        if given.kind == "dataset" and use is not None:
            self._check_policy(given, use, told_columns(item))
        return ProvidedTable(given, told_columns(item), made_by, use)

    def _use_in(self, sender: Step, authority: Authority) -> DatasetUse:
        """The one dataset of a step that makes a table of it."""
        [use] = self.datasets.used_by(sender, authority, self.clock().timestamp()).values()
        return use

    def _check_policy(self, given: PythonGiven, use: DatasetUse, columns: list[PlanColumn]) -> None:
        access = use.policy.dataset(use.snapshot.dataset).python
        if access == "never":
            raise self._refused(given, 'its policy says python = "never".')
        governed = [column.name for column in columns if not column.label.is_free]
        if governed and access == "allowed":
            raise self._refused(given, f"its column {governed[0]!r} is neither public nor masked.")

    def _refused(self, given: PythonGiven, reason: str) -> PythonRefused:
        return PythonRefused(dataset=given.name, site=self.site, reason=reason, hint=_ASK_THE_OWNER)

    def _asked(self, lease: Lease, work: PythonWork, image: str, tables: list[ProvidedTable]) -> Approval | None:
        needing = frozenset(
            f"{table.use.snapshot.lake}.{table.use.snapshot.dataset}"
            for table in tables
            if table.use is not None and table.use.policy.dataset(table.use.snapshot.dataset).python == "approval"
        )
        if not needing:
            return None
        return Approval(
            code=work.code.digest,
            image=image,
            name=work.code.name,
            source=work.code.source,
            pickle=work.code.pickle,
            job=lease.job,
            tenant=lease.tenant,
            principal=lease.principal,
            purpose=lease.purpose,
            datasets=needing,
            asked_ms=int(self.clock().timestamp() * 1000),
        )
