"""`datacanal login`."""

from __future__ import annotations

import os
import sys
import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from datacanal.cli.text import visible
from datacanal.client.address import resolve_ca, resolve_gateway
from datacanal.client.connection import Connection
from datacanal.client.sign_in import keep, sign_in


def add_to(app: typer.Typer) -> None:
    """The command."""
    app.command("login")(login)


def login(
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Only print the address to open.")] = False,
) -> None:
    """Sign in at the gateway (DATACANAL_GATEWAY) by a browser, for eight hours; DATACANAL_TOKEN goes before it."""

    def show(address: str) -> None:
        print(f"Sign in at {address}", file=sys.stderr)
        if not no_browser:
            webbrowser.open(address)

    gateway = resolve_gateway(None, os.environ)
    vouching = resolve_ca(None, os.environ, Path.cwd(), "gateway.pem") if gateway.startswith("https://") else None
    connection = Connection(gateway, None, ca=vouching)
    try:
        found = sign_in(connection, show)
    finally:
        connection.close()
    file = keep(found, gateway, os.environ)
    until = f"{found.expires_at:%Y-%m-%d %H:%M} UTC"
    print(visible(f"Signed in as {found.account.name} ({found.account.id}) until {until}; kept in {file}"))
