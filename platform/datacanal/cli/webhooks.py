"""`datacanal account webhook …`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from datacanal.cli.session import AsJson, connect, print_json, print_table

Account = Annotated[str, typer.Argument(metavar="ACCOUNT", help="The account's id, acc_…")]


def add_to(app: typer.Typer) -> None:
    """The group, into that of accounts."""
    group = typer.Typer(help="Where an account is told of its quotas.", no_args_is_help=True)
    group.command("set")(put)
    group.command("show")(show)
    group.command("remove")(remove)
    group.command("test")(send_test)
    app.add_typer(group, name="webhook")


def put(
    account: Account,
    url: Annotated[str, typer.Argument(metavar="URL", help="https and a public host.")],
    as_json: AsJson = False,
) -> None:
    """Send notices there, and print the secret that they are signed with, this once."""
    with connect() as client:
        made = client.webhooks.put(account, url)
    if as_json:
        print_json(made)
        return
    print(made.secret)
    print(f"notices go to {made.url}; the secret above is not shown again", file=sys.stderr)


def show(account: Account, as_json: AsJson = False) -> None:
    """The address, and what became of the last notices."""
    with connect() as client:
        found = client.webhooks.show(account)
    if as_json:
        print_json(found)
        return
    print(f"url  {found.url or '(none)'}\n")
    rows = [
        [
            notice.id, notice.type, notice.state, str(notice.attempts), f"{notice.created_at:%Y-%m-%d %H:%M:%S}",
            notice.problem or "",
        ]
        for notice in found.notices
    ]  # fmt: skip
    print_table(["notice", "type", "state", "attempts", "created", "problem"], rows)


def remove(account: Account) -> None:
    """Send nothing any more."""
    with connect() as client:
        client.webhooks.remove(account)
    print(f"the webhook of {account} is removed")


def send_test(account: Account, as_json: AsJson = False) -> None:
    """Have a test sent; `webhook show` tells what became of it."""
    with connect() as client:
        noted = client.webhooks.test(account)
    if as_json:
        print_json(noted)
        return
    print(f"{noted.id} is sent; see `datacanal account webhook show {account}`")
