"""`datacanal token …`."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import Annotated, cast, get_args

import typer

from datacanal.cli.moments import parse_expiry
from datacanal.cli.session import AsJson, connect, print_json, print_table
from datacanal.domain.errors import BadField
from datacanal.protocol.public import Role


def add_to(app: typer.Typer) -> None:
    """The group."""
    group = typer.Typer(help="Who may use the service.", no_args_is_help=True)
    group.command("create")(create)
    group.command("list")(list_tokens)
    group.command("revoke")(revoke)
    app.add_typer(group, name="token")


def create(
    name: Annotated[str, typer.Option("--name", help="Whose token it is; for a site its name.")],
    role: Annotated[str, typer.Option("--role", help="One of " + ", ".join(get_args(Role)) + ".")],
    group: Annotated[list[str] | None, typer.Option("--group", help="A group it belongs to; repeatable.")] = None,
    expires: Annotated[str | None, typer.Option("--expires", help="30d, 12h, or an ISO date or time.")] = None,
    as_json: AsJson = False,
) -> None:
    """Make a token and print its secret, this once."""
    if role not in get_args(Role):
        raise BadField(field="--role", reason=f"{role!r} is none of {', '.join(get_args(Role))}")
    ends_at = parse_expiry(expires, datetime.now(UTC)) if expires else None
    with connect() as client:
        made = client.create_token(name, cast("Role", role), groups=group or [], expires=ends_at)
    if as_json:
        print_json(made)
        return
    print(made.secret)
    print(f"token {made.token.id}; the secret above is not shown again", file=sys.stderr)
    if role == "site":
        print(f"start the site with it once: DATACANAL_TOKEN=… datacanal serve site {name}", file=sys.stderr)


def list_tokens(as_json: AsJson = False) -> None:
    """All tokens, without their secrets."""
    with connect() as client:
        tokens = client.tokens()
    if as_json:
        print_json(tokens)
        return
    rows = [
        [
            token.id, token.name, token.role, ", ".join(token.groups), f"{token.created_at:%Y-%m-%d %H:%M}",
            f"{token.expires_at:%Y-%m-%d %H:%M}" if token.expires_at else "",
            f"{token.revoked_at:%Y-%m-%d %H:%M}" if token.revoked_at else "",
            f"{token.used_at:%Y-%m-%d %H:%M}" if token.used_at else "",
        ]
        for token in tokens
    ]  # fmt: skip
    print_table(["token", "name", "role", "groups", "created", "expires", "revoked", "used"], rows)


def revoke(token_id: Annotated[str, typer.Argument(metavar="TOKEN", help="The token's id.")]) -> None:
    """End a token now."""
    with connect() as client:
        client.revoke_token(token_id)
    print(f"{token_id} revoked")
