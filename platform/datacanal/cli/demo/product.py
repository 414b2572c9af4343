"""The demonstration's second half: the answer becomes a data product, and a developer calls it."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable

from datacanal.cli.output import result_lines
from datacanal.client import Client, Job
from datacanal.domain.errors import StartFailed
from datacanal.protocol.problem import error_of
from datacanal.protocol.products import Contract, ProductRequest, PublishRequest, VersionView

NAME = "bank.travel_by_segment"
_WAIT_S = 20.0
_CURL_S = 20
_DESCRIPTION = """Payments for travel since June 2025 of customers in the upper income bands.

One row per segment and country; `spent` is in the account's currency."""


def show_product(
    client: Client, job: Job, gateway: str, token_of: Callable[[], str], say: Callable[[str], None]
) -> None:
    """Publish the job's answer, and call it as a developer with curl and with the client."""
    say(f'\nThe answer becomes a data product, {NAME}. The owners of both lakes agree: publish = "allowed".')
    version = _published(client, job)
    say(f"Version {version.version}, snapshot {version.snapshot}: {version.rows} rows, stable.")
    for check in version.report.checks if version.report else []:
        say(f"  {check.check:<10} {check.outcome:<8} {check.says}")
    token = token_of()
    address = f"{gateway}/v1/products/{NAME}/data?country=CZ,DE&select=segment,country,spent&limit=3"
    say(
        f"\nA developer with a token of the role developer calls it:\n\n$ curl -H 'Authorization: Bearer …' '{address}'"
    )
    say(_curled(address, token))
    say(f"\nand from Python:\n\n>>> client.product({NAME!r}).to_arrow(payments__gte=5, order='-segment', limit=4)\n")
    with Client(client.url, token, gateway=gateway) as developer:
        table = developer.product(NAME).to_arrow(payments__gte=5, order="-segment", limit=4)
    say("\n".join(result_lines(table, table.num_rows, None)))


def _published(client: Client, job: Job) -> VersionView:
    if NAME not in {product.name for product in client.products.list_all()}:
        client.products.create(
            ProductRequest(
                name=NAME,
                title="Travel spending by segment and country",
                description=_DESCRIPTION,
                contract=Contract(key=["segment", "country"], not_null=["payments", "spent"]),
                visibility="internal",
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


def _curled(address: str, token: str) -> str:
    """What curl prints; on a machine without curl, that it has none."""
    program = shutil.which("curl")
    if program is None:
        return "(this machine has no curl; the client below asks the same)"
    # The token goes over standard input, because a command line can be seen by every user of the machine.
    header = f'header = "Authorization: Bearer {token}"\n'
    done = subprocess.run(
        [program, "--silent", "--show-error", "--include", "--config", "-", address],
        input=header, capture_output=True, text=True, timeout=_CURL_S, check=False,
    )  # fmt: skip
    if done.returncode:
        raise StartFailed(what="the gateway", reason=f"curl ended with code {done.returncode}: {done.stderr.strip()}")
    return done.stdout.replace("\r", "").strip()
