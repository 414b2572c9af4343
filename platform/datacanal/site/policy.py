"""A lake's egress policy: one TOML file, read and validated whole, versioned by the digest of what it means.

This version enforces `public` only. Every other word of the policy language is known, checked for sense and then
refused with `not_available`, so that a lake whose owner relies on it does not start unprotected.
"""

from __future__ import annotations

import re
import tomllib
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationError, model_validator

from datacanal.configuration import Section, Size
from datacanal.domain.errors import BadPolicy, NotAvailable
from datacanal.protocol.base import digest_of

ColumnClass = Literal["public", "masked", "join_key", "aggregate", "secret"]
_MASK = re.compile(r"^(year|hash|prefix\(\d{1,4}\)|bucket\(\d+(\.\d+)?\))$")
_PRINCIPAL = re.compile(r"^(group|principal):.+$")
_WAIT = "Leave it out until then, or keep the data out of this lake."


def _check_mask(value: str) -> str:
    if not _MASK.match(value):
        raise ValueError("a mask is year, hash, prefix(n) or bucket(n)")
    return value


def _check_principal(value: str) -> str:
    if not _PRINCIPAL.match(value):
        raise ValueError('write "group:NAME" or "principal:NAME"')
    return value


PrincipalName = Annotated[str, AfterValidator(_check_principal)]


class Allowance(Section):
    """How much may leave; absent means unlimited."""

    rows: int | None = Field(default=None, ge=0)
    bytes: Size | None = None


class LakeBudgets(Section):
    """Per job, per user and day (UTC), per dataset and day (UTC)."""

    job: Allowance = Allowance()
    user_day: Allowance = Allowance()
    dataset_day: Allowance = Allowance()


class DatasetBudgets(Section):
    """Replaces the lake's `dataset_day` for this dataset."""

    day: Allowance = Allowance()


class ColumnPolicy(Section):
    policy_class: ColumnClass = Field(alias="class")
    mask: Annotated[str, AfterValidator(_check_mask)] | None = None
    min_group: int | None = Field(default=None, ge=2)
    max_share: float | None = Field(default=None, gt=0, le=1)

    @model_validator(mode="after")
    def _belongs_together(self) -> ColumnPolicy:
        if (self.policy_class == "masked") != (self.mask is not None):
            raise ValueError('a mask and class = "masked" belong together')
        grouped = self.min_group is not None or self.max_share is not None
        if grouped and self.policy_class != "aggregate":
            raise ValueError('min_group and max_share belong to class = "aggregate"')
        if self.policy_class == "aggregate" and self.min_group is None:
            raise ValueError('class = "aggregate" needs min_group')
        return self


class DatasetPolicy(Section):
    key: list[str] = Field(default_factory=list)
    entity: str | None = None
    readers: list[PrincipalName] | None = None
    publish: Literal["never", "approval", "allowed"] | None = None
    rows: str | None = Field(default=None, min_length=1)
    columns: dict[str, ColumnPolicy] = Field(default_factory=dict)
    budgets: DatasetBudgets = DatasetBudgets()


class Grant(Section):
    to: PrincipalName
    datasets: list[str] = Field(min_length=1)
    purpose: str
    expires: datetime


class Policy(Section):
    """What a lake's owner allows. `digest` names this content, whatever the file's spelling."""

    default_class: ColumnClass
    datasets: dict[str, DatasetPolicy] = Field(default_factory=dict)
    budgets: LakeBudgets = LakeBudgets()
    grants: list[Grant] = Field(default_factory=list)

    @property
    def digest(self) -> str:
        """sha256 (hex) of the canonical content."""
        return digest_of(self.model_dump(mode="json", by_alias=True, exclude_none=True))

    def class_of(self, dataset: str, column: str) -> ColumnClass:
        """The class of a column; names are compared as DuckDB compares them, without case."""
        columns = self.dataset(dataset).columns
        named = {name.casefold(): rule.policy_class for name, rule in columns.items()}
        return named.get(column.casefold(), self.default_class)

    def dataset(self, name: str) -> DatasetPolicy:
        """The dataset's section; an absent one says nothing."""
        return self.datasets.get(name, DatasetPolicy())

    def dataset_day(self, name: str) -> Allowance:
        """What may leave of the dataset per day."""
        own = self.dataset(name).budgets.day
        return own if own != Allowance() else self.budgets.dataset_day


def load_policy(file: Path) -> Policy:
    """Read and check the whole file.

    Raises `BadPolicy` naming file, key and reason, or `NotAvailable` naming a key that is not enforced yet.
    """
    policy = _validated(file, _parsed(file))
    for key, what in _unbuilt(policy):
        raise NotAvailable(key=key, what=f"{what} (in {file})", hint=_WAIT, file=str(file))
    return policy


def _parsed(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadPolicy(file=str(file), key="file", reason=f"cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadPolicy(file=str(file), key="file", reason=f"not valid TOML: {error}") from None


def _validated(file: Path, parsed: dict[str, Any]) -> Policy:
    try:
        return Policy.model_validate(parsed)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"]) or "file"
        raise BadPolicy(file=str(file), key=key, reason=_reason(key, first["type"], first["msg"])) from None


def _reason(key: str, kind: str, message: str) -> str:
    if kind == "extra_forbidden":
        return "this key is not known"
    if kind == "missing" and key == "default_class":
        return 'it is required, nothing is implied; write default_class = "public" if everything may leave'
    return message.removeprefix("Value error, ")


def _unbuilt(policy: Policy) -> list[tuple[str, str]]:
    found = []
    if policy.default_class != "public":
        found.append(("default_class", f"class {policy.default_class!r}"))
    for name, dataset in policy.datasets.items():
        found += [(f"datasets.{name}.{key}", what) for key, what in _unbuilt_in(dataset)]
    if policy.grants:
        found.append(("grants", "a grant"))
    return found


def _unbuilt_in(dataset: DatasetPolicy) -> list[tuple[str, str]]:
    found = []
    if dataset.readers is not None:
        found.append(("readers", "a list of readers"))
    if dataset.publish not in (None, "never"):
        found.append(("publish", f"publish = {dataset.publish!r}"))
    if dataset.rows is not None:
        found.append(("rows", "a row filter"))
    for column, rule in dataset.columns.items():
        if rule.policy_class != "public":
            found.append((f"columns.{column}.class", f"class {rule.policy_class!r}"))
    return found
