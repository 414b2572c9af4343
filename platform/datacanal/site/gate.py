"""The egress gate: every table that leaves the site passes it, once, whole and counted.

The classes of columns are decided in `permit` and nowhere else; today's policies know `public` only, which leaves as
it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from datacanal.domain.errors import BudgetExceeded, StepRefused
from datacanal.site.policy import Policy
from datacanal.site.store.egress import Charge, EgressBook, Permission, Release, Source
from datacanal.site.store.models import OutputRow


class EgressGate:
    """Holds the policies of one site's lakes (by lake) and its egress book."""

    def __init__(self, site: str, policies: Mapping[str, Policy], book: EgressBook) -> None:
        self._site = site
        self._policies = policies
        self._book = book

    def pass_out(self, release: Release, output: OutputRow, now: datetime) -> None:
        """Let the table leave: permitted, charged, recorded and its output kept, in one transaction.

        Raises `StepRefused` or `BudgetExceeded`, and records that too. The same content passes again at no charge.
        """
        now_ms = int(now.timestamp() * 1000)
        policies = {source.lake: self._policies[source.lake].digest for source in release.sources}
        try:
            permission = permit(self._site, release, self._policies, now)
            self._book.release(release, permission, output, now_ms)
        except (BudgetExceeded, StepRefused) as refusal:
            self._book.refuse(release, policies, refusal, now_ms)
            raise


def permit(site: str, release: Release, policies: Mapping[str, Policy], now: datetime) -> Permission:
    """What the release costs. Raises `StepRefused` where a column that flowed into it may not leave."""
    for source in release.sources:
        _check_classes(site, source, policies[source.lake])
    day = now.astimezone(UTC).date().isoformat()
    lakes = {source.lake: policies[source.lake] for source in release.sources}
    charges = [charge for lake, policy in lakes.items() for charge in _of_lake(release, lake, policy, day)]
    datasets = dict.fromkeys((source.lake, source.dataset) for source in release.sources)
    charges += [Charge(lake, "dataset_day", name, day, lakes[lake].dataset_day(name)) for lake, name in datasets]
    return Permission(tuple(charges), {lake: policy.digest for lake, policy in lakes.items()})


def _check_classes(site: str, source: Source, policy: Policy) -> None:
    for column in source.columns:
        found = policy.class_of(source.dataset, column)
        if found != "public":
            raise StepRefused(
                site=site,
                reason=f"column {column!r} of {source.lake}.{source.dataset} is {found}",
                hint="Leave this column out of the statement.",
            )


def _of_lake(release: Release, lake: str, policy: Policy, day: str) -> tuple[Charge, Charge]:
    user = f"{release.tenant}/{release.principal}"
    return (
        Charge(lake, "job", release.job, "", policy.budgets.job),
        Charge(lake, "user_day", user, day, policy.budgets.user_day),
    )
