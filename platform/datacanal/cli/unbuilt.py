"""Command groups whose service does not exist yet: they are known and refuse, in this one place."""

from __future__ import annotations

import typer

from datacanal.domain.errors import NotAvailable

_GROUPS = {
    "package": "packaged jobs",
    "ledger": "the usage ledger",
}
_HINT = "Run SQL jobs with `datacanal sql`; the changelog tells when this comes."


def add_to(app: typer.Typer) -> None:
    """Every group takes any arguments and refuses them."""
    settings = {"allow_extra_args": True, "ignore_unknown_options": True}
    for name, what in _GROUPS.items():
        app.command(name, context_settings=settings, help=f"Not built yet: {what}.")(_refusal(name, what))


def _refusal(name: str, what: str):  # type: ignore[no-untyped-def]  # typer reads the inner function
    def refuse() -> None:
        raise NotAvailable(key=f"datacanal {name}", what=what, hint=_HINT)

    return refuse
