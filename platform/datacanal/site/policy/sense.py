"""What the words of one policy mean together, found wrong without looking at the lake."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from datacanal.site.policy.model import ColumnPolicy, DatasetPolicy, Policy
from datacanal.site.policy.problems import Finding, Key
from datacanal.site.policy.row_filters import FilterRefused, RowFilters

_ENTITY_CLASS = 'Give it class = "join_key", "public", or "masked" with the mask "hash".'


def findings(policy: Policy, now_s: float | None) -> list[Finding]:
    """Everything, in the order of the policy's parts. `now_s` None: no grant counts as expired."""
    return [
        *_default_class(policy),
        *_twins(("datasets",), policy.datasets),
        *(found for name, dataset in policy.datasets.items() for found in _dataset(policy, name, dataset)),
        *_grants(policy, now_s),
        *_row_filters(policy),
    ]


def _default_class(policy: Policy) -> Iterator[Finding]:
    if policy.default_class in ("masked", "aggregate"):
        what = "a mask" if policy.default_class == "masked" else "min_group"
        reason = f"a default class cannot be {policy.default_class}, which needs {what} for each column"
        yield Finding(("default_class",), reason, 'Use "public", "join_key" or "secret", and name such columns.')


def _twins(key: Key, names: Iterable[str]) -> Iterator[Finding]:
    seen: dict[str, str] = {}
    for name in names:
        if seen.setdefault(name.casefold(), name) != name:
            yield Finding((*key, name), "this name differs from another only in case", "Keep one of the two.")
        if not name:
            yield Finding((*key, name), "a name cannot be empty", "Write the name.")


def _dataset(policy: Policy, name: str, dataset: DatasetPolicy) -> Iterator[Finding]:
    key: Key = ("datasets", name)
    yield from _twins((*key, "columns"), dataset.columns)
    for column, rule in dataset.columns.items():
        yield from _column((*key, "columns", column), rule)
    yield from _entity(policy, key, name, dataset)
    yield from _named_twice((*key, "key"), dataset.key)
    yield from _named_twice((*key, "readers"), dataset.readers or [])
    yield from _python(policy, key, dataset)
    if dataset.readers == [] and not policy.grants_of(name):
        reason = "nobody may use this dataset: no reader, and no grant that names it"
        yield Finding((*key, "readers"), reason, "Name readers or write a grant, if that is not meant.", warning=True)


def _python(policy: Policy, key: Key, dataset: DatasetPolicy) -> Iterator[Finding]:
    seen = {policy.default_class, *(rule.policy_class for rule in dataset.columns.values())}
    if dataset.python == "approval" and seen == {"secret"}:
        reason = "every column is secret, so a function that is approved sees nothing"
        yield Finding((*key, "python"), reason, 'Give columns another class, or write python = "never".', warning=True)


def _column(key: Key, rule: ColumnPolicy) -> Iterator[Finding]:
    if rule.policy_class == "masked" and rule.mask is None:
        yield Finding(key, 'class = "masked" needs a mask', "Add mask = year, hash, prefix(n) or bucket(n), in quotes.")
    if rule.policy_class != "masked" and rule.mask is not None:
        yield Finding((*key, "mask"), 'a mask belongs to class = "masked"', "Remove the mask or change the class.")
    if rule.policy_class == "aggregate":
        yield from _group(key, rule)
        return
    for name, value in (("min_group", rule.min_group), ("max_share", rule.max_share), ("buckets", rule.buckets)):
        if value not in (None, []):
            reason = f'{name} belongs to class = "aggregate"'
            yield Finding((*key, name), reason, f"Remove {name} or change the class.")


def _group(key: Key, rule: ColumnPolicy) -> Iterator[Finding]:
    if rule.min_group is None:
        yield Finding(key, 'class = "aggregate" needs min_group', "Add min_group, the least individuals of a group.")
    elif rule.max_share is not None and rule.max_share < 1 / rule.min_group:
        reason = "max_share is below 1/min_group, which a group of that size cannot keep"
        yield Finding((*key, "max_share"), reason, "Raise max_share or min_group.")
    texts = [str(bucket) for bucket in rule.buckets]
    if len(set(texts)) < len(texts):
        yield Finding((*key, "buckets"), "a boundary is named twice", "Name each boundary once.")


def _entity(policy: Policy, key: Key, name: str, dataset: DatasetPolicy) -> Iterator[Finding]:
    governed = [column for column, rule in dataset.columns.items() if rule.policy_class == "aggregate"]
    if dataset.entity is None:
        if governed:
            reason = "a dataset with aggregate columns needs an entity: the individual that min_group counts"
            yield Finding((*key, "columns", governed[0]), reason, 'Add entity = "COLUMN" to the dataset.')
        return
    found = policy.class_of(name, dataset.entity)
    if found in ("secret", "aggregate"):
        yield Finding((*key, "entity"), f"the entity's column is {found}, so nothing may count it", _ENTITY_CLASS)
    rule = dataset.column(dataset.entity)
    if found == "masked" and rule is not None and rule.mask != "hash":
        reason = "the entity's column is masked so that several individuals look like one"
        yield Finding((*key, "entity"), reason, _ENTITY_CLASS)


def _named_twice(key: Key, names: list[str]) -> Iterator[Finding]:
    seen = set()
    for position, name in enumerate(names):
        if name.casefold() in seen:
            yield Finding((*key, position), "it is named twice", "Name it once.")
        seen.add(name.casefold())


def _grants(policy: Policy, now_s: float | None) -> Iterator[Finding]:
    first: dict[tuple[str, str, str], int] = {}
    for number, grant in enumerate(policy.grants):
        key: Key = ("grants", number)
        if now_s is not None and grant.expires_s <= now_s:
            yield Finding((*key, "expires"), "the grant has expired", "Remove or renew it.", warning=True)
        for position, dataset in enumerate(grant.datasets):
            place = (*key, "datasets", position)
            readers = policy.dataset(dataset).readers
            if readers is None:
                yield Finding(place, _open(dataset), "Give the dataset readers, or remove the grant.")
            elif grant.to in readers:
                reason = "the grant is for a reader of this dataset, who needs none"
                yield Finding(place, reason, "Remove the grant or the reader.", warning=True)
            same = (grant.to, dataset.casefold(), grant.purpose)
            if first.setdefault(same, number) != number:
                reason = f"grants.{first[same]} is for the same principal, dataset and purpose"
                yield Finding(place, reason, "Keep one grant, with the expiry that is meant.")
        yield from _named_twice((*key, "datasets"), grant.datasets)


def _open(dataset: str) -> str:
    return f"every analyst may use {dataset!r} anyway, as it names no readers"


def _row_filters(policy: Policy) -> Iterator[Finding]:
    filters: Mapping[str, str] = {name: each.rows for name, each in policy.datasets.items() if each.rows is not None}
    if not filters:
        return
    reader = RowFilters()
    for name, text in filters.items():
        try:
            reader.read(text)
        except FilterRefused as refusal:
            yield Finding(("datasets", name, "rows"), refusal.reason, refusal.remedy, words=refusal.words)
