"""The demonstration's second part: the answer becomes a data product."""

from __future__ import annotations

from collections.abc import Callable

from datacanal.client import Client, Job
from datacanal.domain.errors import StartFailed
from datacanal.protocol.problem import error_of
from datacanal.protocol.products import Contract, ProductRequest, PublishRequest, VersionView

NAME = "bank.travel_by_segment"
_WAIT_S = 20.0
_DESCRIPTION = """Payments for travel since June 2025 of customers in the upper income bands.

One row per segment and country; `spent` is in the account's currency."""


def show_product(client: Client, job: Job, say: Callable[[str], None]) -> None:
    """Publish the job's answer."""
    say(f'\nThe answer becomes a data product, {NAME}. The owners of both lakes agree: publish = "allowed".')
    version = _published(client, job)
    say(f"Version {version.version}, snapshot {version.snapshot}: {version.rows} rows, stable.")
    for check in version.report.checks if version.report else []:
        say(f"  {check.check:<10} {check.outcome:<8} {check.says}")


def _published(client: Client, job: Job) -> VersionView:
    if NAME not in {product.name for product in client.products.list_all()}:
        client.products.create(
            ProductRequest(
                name=NAME,
                title="Travel spending by segment and country",
                description=_DESCRIPTION,
                contract=Contract(key=["segment", "country"], not_null=["payments", "spent"]),
                visibility="listed",
            )
        )
    made = client.products.publish(NAME, PublishRequest(job=job.id, promote=True))
    version = made
    while version.state == "draft":
        version = client.products.version(NAME, made.version, wait_s=_WAIT_S)
    if version.problem is not None:
        raise error_of(version.problem)
    if version.state != "stable":
        raise StartFailed(what="the product", reason=f"version {version.version} is {version.state}")
    return version
