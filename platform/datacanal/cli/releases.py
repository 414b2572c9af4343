"""`datacanal product publish|promote|rollback|retire|diff`."""

from __future__ import annotations

import sys
from typing import Annotated, Any, cast

import typer
from rich.console import Console

from datacanal.cli.product_text import held_error, print_diff, print_version
from datacanal.cli.session import AsJson, connect, print_json
from datacanal.cli.text import visible
from datacanal.client import Client
from datacanal.domain.errors import BadField
from datacanal.protocol.problem import error_of
from datacanal.protocol.products import (
    PromoteRequest,
    PublishRequest,
    RetireRequest,
    RollbackRequest,
    VersionView,
)

_WAIT_S = 20.0
_REDRAW_S = 0.5
_ACCEPTED = ("drift", "freshness", "replay")
Name = Annotated[str, typer.Argument(metavar="PRODUCT", help="publisher.product")]
Reason = Annotated[str | None, typer.Option("--reason", help="Kept with the change.")]


def add_to(group: typer.Typer) -> None:
    """The commands."""
    group.command("publish")(publish)
    group.command("promote")(promote)
    group.command("rollback")(rollback)
    group.command("retire")(retire)
    group.command("diff")(diff)


def publish(
    name: Name,
    job: Annotated[str, typer.Option("--job", help="A succeeded job of yours, whose result is not expired.")],
    major: Annotated[bool, typer.Option("--major", help="A new major version: columns may go or change type.")] = False,
    promote: Annotated[bool, typer.Option("--promote", help="Make it stable when its checks pass.")] = False,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Print the version's number and leave.")] = False,
    as_json: AsJson = False,
) -> None:
    """Make a version of a job's result: consent of the owners, snapshot, checks."""
    with connect() as client:
        view = client.products.publish(name, PublishRequest(job=job, major=major, promote=promote))
        if not no_wait:
            view = _waited(client, view)
    if as_json:
        print_json(view)
    elif no_wait:
        print(view.version)
    else:
        print_version(view)
    _raise_for(view)


def promote(
    name: Name,
    version: Annotated[str | None, typer.Option("--version", help="Else the newest that can be.")] = None,
    canary: Annotated[
        float | None, typer.Option("--canary", min=0, max=1, help="For this share of the callers only.")
    ] = None,
    label: Annotated[
        list[str] | None, typer.Option("--label", help="A group that gets the canary; repeatable.")
    ] = None,
    accept: Annotated[
        list[str] | None, typer.Option("--accept", help="A held check that is let pass; repeatable.")
    ] = None,
    reason: Reason = None,
    as_json: AsJson = False,
) -> None:
    """Let everybody have a version; or, with --canary or --label, some."""
    for check in accept or []:
        if check not in _ACCEPTED:
            raise BadField(field="--accept", reason=f"{check!r} is none of {', '.join(_ACCEPTED)}")
    is_canary = canary is not None or bool(label)
    request = PromoteRequest(
        version=version,
        to="canary" if is_canary else "stable",
        share=canary or 0.0,
        labels=label or [],
        accept=cast("Any", accept or []),
        reason=reason,
    )
    with connect() as client:
        view = client.products.promote(name, request)
    _tell(view, as_json=as_json)


def rollback(
    name: Name,
    version: Annotated[str | None, typer.Option("--version", help="Else the one that was stable before.")] = None,
    reason: Reason = None,
    as_json: AsJson = False,
) -> None:
    """Let everybody have an earlier version again, at once."""
    with connect() as client:
        view = client.products.rollback(name, RollbackRequest(version=version, reason=reason))
    _tell(view, as_json=as_json)


def retire(
    name: Name,
    version: Annotated[str | None, typer.Option("--version", help="Else the whole product.")] = None,
    reason: Reason = None,
    as_json: AsJson = False,
) -> None:
    """End a version that no channel points at; or the product."""
    with connect() as client:
        product = client.products.retire(name, RetireRequest(version=version, reason=reason))
    if as_json:
        print_json(product)
        return
    print(f"{name} {version or ''} is retired".replace("  ", " "))


def diff(
    name: Name,
    old: Annotated[str, typer.Argument(metavar="OLD", help="A version's number.")],
    new: Annotated[str, typer.Argument(metavar="NEW", help="Another one's.")],
    as_json: AsJson = False,
) -> None:
    """What differs between two versions, row by row."""
    with connect() as client:
        found = client.products.diff(name, old, new)
    if as_json:
        print_json(found)
        return
    print_diff(found)


def _tell(view: VersionView, *, as_json: bool) -> None:
    if as_json:
        print_json(view)
        return
    print(f"{view.product} {view.version} is {view.state} (snapshot {view.snapshot})")


def _waited(client: Client, view: VersionView) -> VersionView:
    """Until it is no draft any more; on a terminal's stderr with what it is at."""
    console = Console(stderr=True)
    if not console.is_terminal:
        while view.state == "draft":
            view = client.products.version(view.product, view.version, wait_s=_WAIT_S)
        return view
    with console.status(_line(view)) as status:
        while view.state == "draft":
            view = client.products.version(view.product, view.version, wait_s=_REDRAW_S)
            status.update(_line(view))
    return view


def _line(view: VersionView) -> str:
    return visible(f"{view.product} {view.version} · {view.progress or view.state}").replace("[", "\\[")


def _raise_for(view: VersionView) -> None:
    """A version that came to nothing, or that its contract holds, is no success."""
    sys.stdout.flush()
    if view.problem is not None:
        raise error_of(view.problem)
    if view.state == "held":
        raise held_error(view)
