"""`datacanal key …`: a secret goes to stdout alone, once; words about it to stderr."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from datacanal.cli.moments import parse_expiry
from datacanal.cli.session import AsJson, connect, print_json, print_table
from datacanal.client import Client
from datacanal.domain.errors import BadField
from datacanal.protocol.accounts import NewApiKey

Key = Annotated[str, typer.Argument(metavar="KEY", help="Its id, which stands between dck_live_ and the secret.")]
Expires = Annotated[str | None, typer.Option("--expires", help="30d, 12h, or an ISO date or time.")]


def add_to(app: typer.Typer) -> None:
    """The group."""
    group = typer.Typer(help="API keys of subscriptions (DATACANAL_GATEWAY).", no_args_is_help=True)
    group.command("create")(create)
    group.command("list")(list_keys)
    group.command("rotate")(rotate)
    group.command("revoke")(revoke)
    app.add_typer(group, name="key")


def create(
    subscription: Annotated[str, typer.Argument(metavar="SUBSCRIPTION", help="Its id, or the product's name.")],
    name: Annotated[str, typer.Option("--name", help="What it is for.")] = "",
    test: Annotated[bool, typer.Option("--test", help="A key that sees the sample alone and costs nothing.")] = False,
    scope: Annotated[list[str] | None, typer.Option("--scope", help="data, sample or account; repeatable.")] = None,
    expires: Expires = None,
    as_json: AsJson = False,
) -> None:
    """Make a key and print it, this once."""
    ends_at = parse_expiry(expires, datetime.now(UTC)) if expires else None
    with connect() as client:
        number = _active(client, subscription) if "." in subscription else subscription
        mode, scopes = "test" if test else "live", tuple(scope or ("data", "sample"))
        made = client.keys.create(number, name=name, mode=mode, scopes=scopes, expires=ends_at)
    _print_once(made, as_json)


def list_keys(
    subscription: Annotated[str | None, typer.Option("--subscription", help="Only those of this one.")] = None,
    as_json: AsJson = False,
) -> None:
    """Your keys, without their secrets."""
    with connect() as client:
        found = client.keys.list_all(subscription=subscription)
    if as_json:
        print_json(found)
        return
    rows = [
        [
            each.id, f"…{each.last_four}", each.name, each.mode, each.product, ", ".join(each.scopes),
            *(f"{at:%Y-%m-%d %H:%M}" if at else "" for at in (each.expires_at, each.revoked_at, each.last_used_at)),
        ]
        for each in found
    ]  # fmt: skip
    print_table(["key", "ends", "name", "mode", "product", "for", "expires", "revoked", "last used"], rows)


def rotate(
    key: Key,
    overlap: Annotated[str, typer.Option("--overlap", help="How long the old one holds: 1d, 12h, 0s.")] = "1d",
    expires: Expires = None,
    as_json: AsJson = False,
) -> None:
    """Make a key like this one and print it, this once; the old one ends after the overlap."""
    now = datetime.now(UTC)
    ends_at = parse_expiry(expires, now) if expires else None
    with connect() as client:
        made = client.keys.rotate(key, overlap_s=_seconds(overlap, now), expires=ends_at)
    _print_once(made, as_json)


def revoke(key: Key) -> None:
    """End a key now."""
    with connect() as client:
        client.keys.revoke(key)
    print(f"{key} revoked")


def _print_once(made: NewApiKey, as_json: bool) -> None:
    if as_json:
        print_json(made)
        return
    print(made.secret)
    print(f"key {made.key.id} for {made.key.product}; it is not shown again", file=sys.stderr)


def _active(client: Client, product: str) -> str:
    """The caller's active subscription to the product, where it is clear which one."""
    own = {account.id for account in client.accounts.list_all()}
    found = [each.id for each in client.subscriptions.list_all(product=product, state="active") if each.account in own]
    if len(found) != 1:
        reason = f"there are {len(found)} active subscriptions to {product}; name one by its id"
        raise BadField(field="SUBSCRIPTION", reason=reason)
    return found[0]


def _seconds(overlap: str, now: datetime) -> int:
    if overlap in ("0", "0s"):
        return 0
    try:
        return int((parse_expiry(overlap, now) - now) / timedelta(seconds=1))
    except BadField as error:
        raise BadField(field="--overlap", reason=str(error.data["reason"])) from None
