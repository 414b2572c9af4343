"""A dataset as everybody sees it under a policy: types behind masks, labels, the rules of its view, what is told."""

from __future__ import annotations

import difflib
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

import structlog

from datacanal.planning.binding import NamedType
from datacanal.protocol.catalogue import DatasetColumn, ReportedGrant, Snapshot
from datacanal.protocol.labels import Label, Origin, Owner
from datacanal.protocol.plan import PlanColumn
from datacanal.site.engine.masks import masked_type, takes
from datacanal.site.engine.specification import MaskedColumn, ViewRules
from datacanal.site.policy.boundaries import boundary_literal
from datacanal.site.policy.model import ColumnPolicy, DatasetPolicy, Policy
from datacanal.site.policy.problems import Finding, Key
from datacanal.site.policy.row_filters import FilterRefused, RowFilters
from datacanal.site.policy.statistics import told_statistics

_log = structlog.get_logger()
_KEPT = 256
"""Datasets under a policy that are remembered."""


@dataclass(frozen=True)
class GovernedDataset:
    """`columns` and `rules` mean nothing where there are `findings`: then nobody may use the dataset.

    `key` is empty where a mask makes its values repeat. `governed` says that counts are told rounded.
    """

    columns: tuple[DatasetColumn, ...]
    rules: ViewRules | None
    governed: bool
    key: tuple[str, ...]
    entity: str | None
    readers: tuple[str, ...] | None
    grants: tuple[ReportedGrant, ...]
    findings: tuple[Finding, ...]

    @property
    def plan_columns(self) -> list[PlanColumn]:
        """The columns as plans write them."""
        return [PlanColumn(name=each.name, type=each.type, label=each.label) for each in self.columns]


class Governance:
    """Works out datasets under policies, once for each. Safe to call from several threads.

    `mask_key` gives a lake's key for the mask `hash`, in hex.
    """

    def __init__(self, mask_key: Callable[[str], str]) -> None:
        self._mask_key = mask_key
        self._filters = RowFilters()
        self._known: dict[tuple[str, str, str], GovernedDataset] = {}
        self._lock = threading.Lock()

    def of(self, policy: Policy, snapshot: Snapshot) -> GovernedDataset:
        """The dataset of the snapshot under the policy."""
        key = (policy.digest, snapshot.id, snapshot.model_dump_json(include={"columns"}))
        with self._lock:
            if key not in self._known:
                if len(self._known) >= _KEPT:
                    self._known.clear()
                self._known[key] = self._worked_out(policy, snapshot)
            return self._known[key]

    def _worked_out(self, policy: Policy, snapshot: Snapshot) -> GovernedDataset:
        rule = policy.dataset(snapshot.dataset)
        found = list(_misfits(policy, snapshot, rule))
        condition = None
        try:
            condition = self._condition(rule, snapshot)
        except FilterRefused as refusal:
            key = (*_section(policy, snapshot.dataset), "rows")
            found.append(Finding(key, refusal.reason, refusal.remedy, words=refusal.words))
        if found:
            keys = [".".join(map(str, each.key)) for each in found]
            _log.error("policy_does_not_fit", lake=snapshot.lake, dataset=snapshot.dataset, keys=keys)
        columns = () if found else tuple(_columns(policy, snapshot, rule))
        governed = rule.rows is not None or any(column.label.policy_class != "public" for column in columns)
        if governed:
            columns = tuple(told_statistics(column, filtered=rule.rows is not None) for column in columns)
        return GovernedDataset(
            columns=columns,
            rules=None if found else self._rules(snapshot, columns, condition),
            governed=governed,
            key=_told_key(rule, columns),
            entity=_spelled(rule.entity, snapshot),
            readers=None if rule.readers is None else tuple(rule.readers),
            grants=tuple(policy.grants_of(snapshot.dataset)),
            findings=tuple(found),
        )

    def _condition(self, rule: DatasetPolicy, snapshot: Snapshot) -> str | None:
        if rule.rows is None:
            return None
        raw = [NamedType(name=column.name, type=column.type) for column in snapshot.columns]
        return self._filters.fit(rule.rows, snapshot.dataset, raw)

    def _rules(self, snapshot: Snapshot, columns: Sequence[DatasetColumn], condition: str | None) -> ViewRules | None:
        masks = {
            raw.name: MaskedColumn(mask=seen.mask, raw_type=raw.type)
            for raw, seen in zip(snapshot.columns, columns, strict=True)
            if seen.mask is not None
        }
        if condition is None and not masks:
            return None
        hashes = any(column.mask == "hash" for column in masks.values())
        return ViewRules(rows=condition, masks=masks, mask_key=self._mask_key(snapshot.lake) if hashes else "")


def orphans(policy: Policy, datasets: Collection[str]) -> Iterator[tuple[Finding, str | None]]:
    """Sections and grants that name no dataset of the lake, each with the dataset that it may mean.

    A dataset without a section of its own whose name is that near is meant for all we know, and the rule that its owner
    wrote does not hold for it: the finding is then more than a warning.
    """
    known = {name.casefold() for name in datasets}
    sections = {name.casefold() for name in policy.datasets}
    free = [name for name in datasets if name.casefold() not in sections]
    for name in policy.datasets:
        if name.casefold() not in known:
            near = _near(name, free)
            remedy = f"Did you mean {near!r}?" if near else "Correct the name, unless the dataset is still to come."
            yield Finding(("datasets", name), "the lake has no such dataset", remedy, warning=near is None), near
    for number, grant in enumerate(policy.grants):
        for position, name in enumerate(grant.datasets):
            if name.casefold() not in known:
                key: Key = ("grants", number, "datasets", position)
                remedy = "Correct the name, unless the dataset is still to come."
                yield Finding(key, "the lake has no such dataset", remedy, warning=True), None


def _near(name: str, names: Sequence[str]) -> str | None:
    spellings = {each.casefold(): each for each in names}
    found = difflib.get_close_matches(name.casefold(), spellings, n=1, cutoff=0.8)
    return spellings[found[0]] if found else None


def _section(policy: Policy, dataset: str) -> Key:
    """The dataset's section as the file spells it."""
    spelled = next((name for name in policy.datasets if name.casefold() == dataset.casefold()), dataset)
    return ("datasets", spelled)


def _misfits(policy: Policy, snapshot: Snapshot, rule: DatasetPolicy) -> Iterator[Finding]:
    section = _section(policy, snapshot.dataset)
    types = {column.name.casefold(): column.type for column in snapshot.columns}
    named = [((*section, "columns", name), name) for name in rule.columns]
    named += [((*section, "key", position), name) for position, name in enumerate(rule.key)]
    named += [((*section, "entity"), rule.entity)] if rule.entity is not None else []
    for key, name in named:
        if name.casefold() not in types:
            near = _near(name, [column.name for column in snapshot.columns])
            remedy = f"Did you mean {near!r}?" if near else "`datacanal dataset show` lists the columns."
            yield Finding(key, "the dataset has no such column", remedy)
    for name, column in rule.columns.items():
        if name.casefold() in types:
            yield from _wrong_type((*section, "columns", name), column, types[name.casefold()])


def _wrong_type(key: Key, column: ColumnPolicy, kind: str) -> Iterator[Finding]:
    if column.mask is not None and masked_type(column.mask, kind) is None:
        reason = f"the mask cannot be put over values of type {kind}; it takes {takes(column.mask)}"
        yield Finding((*key, "mask"), reason, "Use another mask or another class.")
    for position, bucket in enumerate(column.buckets):
        if boundary_literal(bucket, kind) is None:
            yield Finding((*key, "buckets", position), f"this is no value of type {kind}", "Write one that is.")


def _columns(policy: Policy, snapshot: Snapshot, rule: DatasetPolicy) -> Iterator[DatasetColumn]:
    owner = Owner(lake=snapshot.lake, dataset=snapshot.dataset, policy=policy.digest)
    for raw in snapshot.columns:
        own = rule.column(raw.name) or ColumnPolicy.model_validate({"class": policy.default_class})
        origins = [_origin(snapshot, raw, own, rule)] if own.policy_class not in ("public", "masked") else []
        label = Label(policy_class=own.policy_class, owners=[owner], origins=origins)
        kind = raw.type if own.mask is None else masked_type(own.mask, raw.type) or raw.type
        yield raw.model_copy(update={"type": kind, "label": label, "mask": own.mask})


def _origin(snapshot: Snapshot, raw: DatasetColumn, own: ColumnPolicy, rule: DatasetPolicy) -> Origin:
    grouped = own.policy_class == "aggregate"
    return Origin(
        lake=snapshot.lake,
        dataset=snapshot.dataset,
        column=raw.name,
        policy_class=own.policy_class,
        entity=_spelled(rule.entity, snapshot) if grouped else None,
        min_group=own.min_group,
        max_share=own.max_share,
        buckets=[text for bucket in own.buckets if (text := boundary_literal(bucket, raw.type)) is not None],
    )


def _spelled(name: str | None, snapshot: Snapshot) -> str | None:
    """The column's name as the dataset spells it."""
    if name is None:
        return None
    return next((column.name for column in snapshot.columns if column.name.casefold() == name.casefold()), name)


def _told_key(rule: DatasetPolicy, columns: Sequence[DatasetColumn]) -> tuple[str, ...]:
    by_name = {column.name.casefold(): column for column in columns}
    key = [by_name[name.casefold()] for name in rule.key if name.casefold() in by_name]
    blurred = any(column.mask not in (None, "hash") for column in key)
    return () if blurred else tuple(column.name for column in key)
