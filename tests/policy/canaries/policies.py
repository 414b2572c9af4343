"""Random policies over the canary town, and what each of them forbids anybody to see."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from tests.policy.canaries.town import DATASETS, TABLES, Column

_CLASSES = {
    "key": ("join_key", "join_key", "public", "secret"),
    "sum": ("aggregate", "aggregate", "aggregate", "secret", "public"),
    "text": ("public", "public", "secret", "masked"),
    "date": ("public", "masked", "public"),
    "int": ("public", "secret"),
    "bool": ("public", "public"),
}
_MASKS = {"text": ("prefix(3)", "hash"), "date": ("year", "hash"), "sum": ("bucket(1000)",)}


@dataclass(frozen=True)
class TownPolicy:
    """The policies' texts by lake; classes by `lake.dataset.column`; the smallest group anywhere."""

    files: dict[str, str]
    classes: dict[str, str]
    min_group: int
    hides: bool


def random_policy(rng: Random) -> TownPolicy:
    """One policy for each lake. The same seed gives the same."""
    min_group = rng.choice((2, 2, 3, 4))
    hides = rng.random() < 0.4
    classes: dict[str, str] = {}
    files = {}
    for lake, datasets in DATASETS.items():
        lines = ['default_class = "public"']
        for dataset, entity in datasets.items():
            lines += _dataset(rng, f"{lake}.{dataset}", entity, min_group, classes)
            if dataset == "people" and hides:
                lines.insert(lines.index("[datasets.people]") + 1, 'rows = "NOT hidden"')
        files[lake] = "\n".join(lines) + "\n"
    return TownPolicy(files, classes, min_group, hides)


def _dataset(rng: Random, name: str, entity: str, min_group: int, classes: dict[str, str]) -> list[str]:
    dataset = name.partition(".")[2]
    lines = [f"[datasets.{dataset}]", f'entity = "{entity}"', f"[datasets.{dataset}.columns]"]
    for column in TABLES[name]:
        policy_class = "join_key" if column.name == entity and rng.random() < 0.7 else _class(rng, column)
        if column.name == entity and policy_class == "secret":
            policy_class = "join_key"
        classes[f"{name}.{column.name}"] = policy_class
        if policy_class != "public":
            lines.append(f"{column.name} = {_rule(rng, column, policy_class, min_group)}")
    return lines


def _class(rng: Random, column: Column) -> str:
    found = rng.choice(_CLASSES[column.kind])
    # A canary that is public proves nothing; most shall be governed.
    return "secret" if column.canary and found == "public" and rng.random() < 0.6 else found


def _rule(rng: Random, column: Column, policy_class: str, min_group: int) -> str:
    if policy_class == "masked":
        return f'{{ class = "masked", mask = "{rng.choice(_MASKS[column.kind])}" }}'
    if policy_class == "aggregate":
        return f'{{ class = "aggregate", min_group = {min_group + rng.randint(0, 1)} }}'
    return f'{{ class = "{policy_class}" }}'
