"""What a release costs, and whether every column of it may leave at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from datacanal.planning.lineage import check_leaving
from datacanal.protocol.labels import STRICTNESS, Label
from datacanal.site.gate.demands import Demand
from datacanal.site.policy import Policy
from datacanal.site.store.egress import Charge, Permission, QueryCharge, Release

Policies = Mapping[tuple[str, str], Policy]
"""By lake and dataset, as they were when the job was planned."""


def check_columns(release: Release) -> None:
    """Raise `PolicyRefused` unless every column is free to be seen, or a join key on its way to another site.

    What is used at the site where it was made (`step`) has not left; the gate looks at whatever is made of it.
    """
    if release.kind == "step":
        return
    labels = [_settled(column.label) for column in release.columns]
    names = [column.name for column in release.columns]
    check_leaving(labels, names, {}, inside_transfer=release.kind == "transfer")


def _settled(label: Label) -> Label:
    """The label with a class that is not below that of anything governed in it, whatever it says."""
    classes = [origin.policy_class for origin in label.origins if not origin.released]
    return label.model_copy(update={"policy_class": max((label.policy_class, *classes), key=STRICTNESS.index)})


def permit(release: Release, policies: Policies, demand: Demand | None, now: datetime) -> Permission:
    """What leaves is charged to the budgets of rows and bytes, an aggregate to that of aggregate queries."""
    day = now.astimezone(UTC).date().isoformat()
    lakes = {lake: policy for (lake, _), policy in policies.items()}
    charges: list[Charge] = []
    if release.kind != "step":
        charges += [charge for lake, policy in lakes.items() for charge in _of_lake(release, lake, policy, day)]
        charges += [
            Charge(lake, "dataset_day", name, day, policy.dataset_day(name))
            for (lake, name), policy in policies.items()
        ]
    queries = () if demand is None else tuple(_queries(demand.datasets, policies, day))
    return Permission(tuple(charges), {lake: policy.digest for lake, policy in lakes.items()}, queries)


def _of_lake(release: Release, lake: str, policy: Policy, day: str) -> tuple[Charge, Charge]:
    user = f"{release.tenant}/{release.principal}"
    return (
        Charge(lake, "job", release.job, "", policy.budgets.job),
        Charge(lake, "user_day", user, day, policy.budgets.user_day),
    )


def _queries(datasets: Sequence[tuple[str, str]], policies: Policies, day: str) -> list[QueryCharge]:
    limits = {key: policies[key].aggregate_queries(key[1]) for key in datasets}
    return [QueryCharge(lake, name, day, limit) for (lake, name), limit in limits.items() if limit is not None]
