"""The words of a policy file. What the words of one file mean together is `sense`'s to judge."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field

from datacanal.configuration import Section
from datacanal.configured_values import Size
from datacanal.protocol.base import digest_of
from datacanal.protocol.catalogue import PythonAccess, ReportedGrant
from datacanal.protocol.labels import PolicyClass
from datacanal.site.engine.masks import check_mask

_PRINCIPAL = re.compile(r"^(group|principal):\S(.*\S)?$")
LOG_BYTES = 64 * 2**10
"""What may leave of one job's log where a policy lets logs out and names no size."""


def is_principal(value: str) -> bool:
    """Whether it reads `group:NAME` or `principal:NAME`."""
    return _PRINCIPAL.match(value) is not None


def _check_principal(value: str) -> str:
    if not is_principal(value):
        raise ValueError('write "group:NAME" or "principal:NAME"')
    return value


def _check_bucket(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, int | float | str | date | datetime | time):
        raise ValueError("a boundary is a number, a text, a date or a time")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("a boundary is a finite number")
    return value.isoformat() if isinstance(value, date | datetime | time) else value


PrincipalName = Annotated[str, AfterValidator(_check_principal)]
Mask = Annotated[str, AfterValidator(check_mask)]
Bucket = Annotated[int | float | str, BeforeValidator(_check_bucket)]
Text = Annotated[str, Field(min_length=1)]
T = TypeVar("T")


class Allowance(Section):
    """How much may leave; absent means unlimited."""

    rows: int | None = Field(default=None, ge=0)
    bytes: Size | None = None


class LakeBudgets(Section):
    """Per job, per user and day (UTC), per dataset and day (UTC)."""

    job: Allowance = Allowance()
    user_day: Allowance = Allowance()
    dataset_day: Allowance = Allowance()
    aggregate_queries: int | None = Field(default=None, ge=0)


class DatasetBudgets(Section):
    """Replaces what the lake says of each dataset."""

    day: Allowance = Allowance()
    aggregate_queries: int | None = Field(default=None, ge=0)


class ColumnPolicy(Section):
    policy_class: PolicyClass = Field(alias="class")
    mask: Mask | None = None
    min_group: int | None = Field(default=None, ge=2)
    max_share: float | None = Field(default=None, gt=0, le=1)
    buckets: list[Bucket] = Field(default_factory=list)


class DatasetPolicy(Section):
    key: list[Text] = Field(default_factory=list)
    entity: Text | None = None
    readers: list[PrincipalName] | None = None
    publish: Literal["never", "approval", "allowed"] = "never"
    python: PythonAccess = "allowed"
    rows: Text | None = None
    columns: dict[str, ColumnPolicy] = Field(default_factory=dict)
    budgets: DatasetBudgets = DatasetBudgets()

    def column(self, name: str) -> ColumnPolicy | None:
        """What is said of the column; names are compared as DuckDB compares them, without case."""
        return _found(self.columns, name)


class Grant(Section):
    """`to` may use the datasets for that purpose until then, whether it is among their readers or not."""

    to: PrincipalName
    datasets: list[Text] = Field(min_length=1)
    purpose: Text
    expires: datetime

    @property
    def expires_s(self) -> int:
        """Seconds since 1970; a time without a zone is UTC."""
        known = self.expires if self.expires.tzinfo else self.expires.replace(tzinfo=UTC)
        return int(known.timestamp())


class LogPolicy(Section):
    """Whether what the attempts of a job said may be read elsewhere, as a release that is charged."""

    release: bool = False
    max_bytes: Size = LOG_BYTES


class Policy(Section):
    """What a lake's owner allows. `digest` names this content, whatever the file's spelling."""

    default_class: PolicyClass
    datasets: dict[str, DatasetPolicy] = Field(default_factory=dict)
    budgets: LakeBudgets = LakeBudgets()
    grants: list[Grant] = Field(default_factory=list)
    logs: LogPolicy = LogPolicy()

    @property
    def document(self) -> dict[str, Any]:
        """The content as JSON; `Policy.model_validate` reads it back to an equal policy."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)

    @property
    def digest(self) -> str:
        """sha256 (hex) of the canonical content."""
        return digest_of(self.document)

    def class_of(self, dataset: str, column: str) -> PolicyClass:
        """The class of a column."""
        rule = self.dataset(dataset).column(column)
        return self.default_class if rule is None else rule.policy_class

    def dataset(self, name: str) -> DatasetPolicy:
        """The dataset's section, found without regard to case; an absent one says nothing."""
        return _found(self.datasets, name) or DatasetPolicy()

    def dataset_day(self, name: str) -> Allowance:
        """What may leave of the dataset per day."""
        own = self.dataset(name).budgets.day
        return own if own != Allowance() else self.budgets.dataset_day

    def aggregate_queries(self, name: str) -> int | None:
        """How many aggregate queries over the dataset a day are answered; None is unlimited."""
        own = self.dataset(name).budgets.aggregate_queries
        return self.budgets.aggregate_queries if own is None else own

    def grants_of(self, name: str) -> list[ReportedGrant]:
        """The grants that name the dataset, in the order of the file."""
        return [
            ReportedGrant(to=grant.to, purpose=grant.purpose, expires_s=grant.expires_s)
            for grant in self.grants
            if name.casefold() in {dataset.casefold() for dataset in grant.datasets}
        ]


def _found(by_name: Mapping[str, T], name: str) -> T | None:
    without_case = name.casefold()
    return next((value for known, value in by_name.items() if known.casefold() == without_case), None)
