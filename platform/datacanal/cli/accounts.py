"""`datacanal account …`."""

from __future__ import annotations

from typing import Annotated

import typer

from datacanal.cli import webhooks
from datacanal.cli.session import AsJson, connect, print_json, print_table
from datacanal.domain.errors import BadField
from datacanal.protocol.accounts import AccountView


def add_to(app: typer.Typer) -> None:
    """The group."""
    group = typer.Typer(help="Your account at the gateway (DATACANAL_GATEWAY).", no_args_is_help=True)
    group.command("show")(show)
    group.command("create")(create)
    group.command("close")(close)
    webhooks.add_to(group)
    app.add_typer(group, name="account")


def show(as_json: AsJson = False) -> None:
    """Your account; to administrators every account."""
    with connect() as client:
        found = client.accounts.list_all()
    if as_json:
        print_json(found)
        return
    rows = [
        [each.id, each.name, each.principal, f"{each.created_at:%Y-%m-%d %H:%M}",
         f"{each.closed_at:%Y-%m-%d %H:%M}" if each.closed_at else ""]
        for each in found
    ]  # fmt: skip
    print_table(["account", "name", "of", "since (UTC)", "closed"], rows)


def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What it is called on invoices.")],
    as_json: AsJson = False,
) -> None:
    """Open your account, or open it again. The first subscription does it too."""
    with connect() as client:
        made = client.accounts.create(name)
    print_json(made) if as_json else print(made.id)


def close(
    account: Annotated[str | None, typer.Argument(metavar="ACCOUNT", help="Its id; else your own.")] = None,
) -> None:
    """End the account's subscriptions and keys, now."""
    with connect() as client:
        closed = client.accounts.close(account or _own(client.accounts.list_all()))
    print(f"{closed.id} closed")


def _own(found: list[AccountView]) -> str:
    if len(found) != 1:
        raise BadField(field="ACCOUNT", reason=f"there are {len(found)} that you may close; name one")
    return found[0].id
