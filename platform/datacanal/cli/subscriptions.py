"""`datacanal subscription …`: asking for products, and deciding on who asks."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from datacanal.cli.quotas import burst_from, quotas_from, quotas_line
from datacanal.cli.session import AsJson, connect, print_json, print_table
from datacanal.cli.text import visible
from datacanal.client.requests import checked
from datacanal.protocol.accounts import Approval, SubscriptionView

Subscription = Annotated[str, typer.Argument(metavar="SUBSCRIPTION", help="Its id.")]
Quotas = Annotated[
    list[str] | None,
    typer.Option("--quota", metavar="ROWS=N/DAY", help="rows=5000000/day, calls=100/hour:soft; repeatable."),
]


def add_to(app: typer.Typer) -> None:
    """The group."""
    group = typer.Typer(help="Subscriptions to data products (DATACANAL_GATEWAY).", no_args_is_help=True)
    group.command("create")(create)
    group.command("list")(list_subscriptions)
    group.command("show")(show)
    group.command("approve")(approve)
    group.command("refuse")(refuse)
    group.command("end")(end)
    app.add_typer(group, name="subscription")


def create(
    product: Annotated[str, typer.Argument(metavar="PRODUCT", help="publisher.product")],
    tariff: Annotated[str | None, typer.Option("--tariff", help="Its name, where there are several.")] = None,
    purpose: Annotated[str, typer.Option("--purpose", help="What for; the publisher reads it.")] = "",
    account: Annotated[str | None, typer.Option("--account", help="For administrators: whose.")] = None,
    as_json: AsJson = False,
) -> None:
    """Subscribe to a product and print the subscription's id."""
    with connect() as client:
        made = client.subscriptions.create(product, tariff=tariff, purpose=purpose, account=account)
    if as_json:
        print_json(made)
        return
    print(made.id)
    waits = "waits for the publisher" if made.state == "pending" else "is active: datacanal key create " + made.id
    print(f"the subscription to {made.product} {waits}", file=sys.stderr)


def list_subscriptions(
    product: Annotated[str | None, typer.Option("--product", help="To this product.")] = None,
    state: Annotated[str | None, typer.Option("--state", help="pending, active, refused or ended.")] = None,
    as_json: AsJson = False,
) -> None:
    """Yours, and those to the products that you publish."""
    with connect() as client:
        found = client.subscriptions.list_all(product=product, state=state)
    print_json(found) if as_json else _print_all(found)


def show(subscription: Subscription, as_json: AsJson = False) -> None:
    """One subscription, with what it is held to."""
    with connect() as client:
        _print(client.subscriptions.show(subscription), as_json)


def approve(
    subscription: Subscription,
    quota: Quotas = None,
    burst: Annotated[
        str | None, typer.Option("--burst", metavar="CALLS/S", help="50/1s: calls within seconds.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Let it begin, as the product's publisher; what is not given stays as its tariff has it."""
    given: dict[str, Any] = {"quotas": quotas_from(quota)} if quota else {}
    if burst is not None:
        given["burst"] = burst_from(burst)
    with connect() as client:
        _print(client.subscriptions.approve(subscription, checked(Approval, **given)), as_json)


def refuse(
    subscription: Subscription,
    reason: Annotated[str, typer.Option("--reason", help="The developer reads it.")],
    as_json: AsJson = False,
) -> None:
    """Refuse it, as the product's publisher."""
    with connect() as client:
        _print(client.subscriptions.refuse(subscription, reason), as_json)


def end(subscription: Subscription, as_json: AsJson = False) -> None:
    """End it and its keys, now; as its developer or as the product's publisher."""
    with connect() as client:
        _print(client.subscriptions.end(subscription), as_json)


def _print(view: SubscriptionView, as_json: bool) -> None:
    if as_json:
        print_json(view)
        return
    lines = [
        f"{view.id}  {view.product}  {view.state}",
        f"of {view.account}, asked for by {view.principal} on {view.created_at:%Y-%m-%d %H:%M} UTC",
        f"tariff: {view.tariff or 'none'}, a unit is one of {view.unit}",
        f"held to: {quotas_line(view)}",
        *([f"purpose: {view.purpose}"] if view.purpose else []),
        *([f"decided by {view.decided_by} on {view.decided_at:%Y-%m-%d %H:%M} UTC"] if view.decided_at else []),
        *([f"reason: {view.reason}"] if view.reason else []),
        *([f"ended on {view.ended_at:%Y-%m-%d %H:%M} UTC"] if view.ended_at else []),
    ]
    print("\n".join(map(visible, lines)))


def _print_all(found: Sequence[SubscriptionView]) -> None:
    rows = [
        [each.id, each.product, each.state, each.principal, f"{each.created_at:%Y-%m-%d %H:%M}", quotas_line(each),
         each.purpose]
        for each in found
    ]  # fmt: skip
    print_table(["subscription", "product", "state", "asked by", "since (UTC)", "held to", "purpose"], rows)
