"""`datacanal approval …`: what functions and publications ask of a site, and what its stewards say; on its machine."""

from __future__ import annotations

import json
import os
import pwd
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from datacanal.cli.moments import parse_expiry
from datacanal.cli.records import DEFAULT_CONFIG, Config, SiteName, instant, site_places
from datacanal.cli.session import AsJson, print_table
from datacanal.cli.text import visible
from datacanal.domain.errors import BadField, FileNotWritable, NotFound

if TYPE_CHECKING:  # what the store needs is loaded by these commands alone, when they run
    from datacanal.site.approvals import Stewardship
    from datacanal.site.store.approvals import Approval

Digest = Annotated[str, typer.Argument(metavar="DIGEST", help="Of the code; its first digits, if no other begins so.")]
Image = Annotated[str | None, typer.Option("--image", help="Needed where the function was asked for in several.")]
Product = Annotated[str | None, typer.Option("--product", help="Needed where the statement was asked for as several.")]


def add_to(app: typer.Typer) -> None:
    """The group."""
    group = typer.Typer(
        help="Functions and publications that ask a steward of a site; on its machine.", no_args_is_help=True
    )
    group.command("list")(list_requests)
    group.command("show")(show)
    group.command("grant")(grant)
    group.command("revoke")(revoke)
    app.add_typer(group, name="approval")


def list_requests(config: Config = DEFAULT_CONFIG, site: SiteName = None, as_json: AsJson = False) -> None:
    """Every function and every publication that asked, the newest first."""
    with _stewardship(config, site) as stewardship:
        found = stewardship.store.every()
    if as_json:
        _print([_document(each) for each in found])
        return
    print_table(
        ["code", "kind", "name", "image", "state", "who", "purpose", "datasets", "asked (UTC)"],
        [_row(each) for each in found],
    )


def show(
    digest: Digest,
    config: Config = DEFAULT_CONFIG,
    site: SiteName = None,
    image: Image = None,
    product: Product = None,
    pickle: Annotated[
        Path | None, typer.Option("--pickle", metavar="FILE", help="Write what runs to a new file.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """A request with the source of its function or statement, as its sender wrote it."""
    with _stewardship(config, site) as stewardship:
        found = stewardship.find(digest, image, product)
    if pickle is not None:
        _write(pickle, found)
    if as_json:
        _print(_document(found) | {"source": found.source})
        return
    for name, value in _document(found).items():
        text = ", ".join(value) if isinstance(value, list) else "" if value is None else str(value)
        print(visible(f"{name:<12} {text}"))
    what_runs = "" if found.product else " (what runs is the pickle of that digest)"
    print(f"\nThe source, as its sender wrote it{what_runs}:\n")
    for number, line in enumerate(found.source.split("\n"), start=1):
        print(f"{number:>5}  {visible(line, keep=chr(9))}")


def grant(
    digest: Digest,
    config: Config = DEFAULT_CONFIG,
    site: SiteName = None,
    image: Image = None,
    product: Product = None,
    expires: Annotated[str | None, typer.Option("--expires", help="30d, 12h, or an ISO date or time (UTC).")] = None,
) -> None:
    """Let the function read, or the product be made of, the datasets asked for so far, from the next time on."""
    now = datetime.now(UTC)
    until = None if expires is None else parse_expiry(expires, now)
    with _stewardship(config, site) as stewardship:
        decided = _decide(stewardship.find(digest, image, product), stewardship, now, grant=True, until=until)
    ends = "" if until is None else f" until {until:%Y-%m-%d %H:%M:%S} UTC"
    print(visible(f"{_named(decided)} {_may(decided)} {', '.join(sorted(decided.granted))}{ends}"))


def revoke(
    digest: Digest,
    config: Config = DEFAULT_CONFIG,
    site: SiteName = None,
    image: Image = None,
    product: Product = None,
) -> None:
    """Take an approval back: of a function nothing begins or leaves any more, of a product no further version."""
    with _stewardship(config, site) as stewardship:
        seen = stewardship.find(digest, image, product)
        decided = _decide(seen, stewardship, datetime.now(UTC), grant=False, until=None)
    print(visible(f"{_named(decided)} {_may(decided)} nothing that needs an approval"))


def _decide(
    seen: Approval, stewardship: Stewardship, now: datetime, *, grant: bool, until: datetime | None
) -> Approval:
    from datacanal.site.store.approvals import Decision  # as above

    expires_ms = None if until is None else _ms(until)
    return stewardship.decide(seen, Decision(grant, _steward(), _ms(now), expires_ms))


def _steward() -> str:
    """Who says it, as far as this machine knows."""
    user = _user_name(os.geteuid())
    behind = os.environ.get("SUDO_USER", "")
    return f"{behind} as {user}" if behind and behind != user else user


def _user_name(user_id: int) -> str:
    try:
        return pwd.getpwuid(user_id).pw_name
    except KeyError:
        return str(user_id)


@contextmanager
def _stewardship(config: Path, asked: str | None) -> Iterator[Stewardship]:
    """The site's own store and record, beside a running agent. Raises `NotFound` where it has none yet."""
    from datacanal.site.stewarding import open_stewardship  # as above

    name, places = site_places(config, asked)
    if not os.access(places.database, os.R_OK | os.W_OK):
        raise NotFound(what="site's store that this user may write", name=str(places.database))
    owner = places.database.stat().st_uid
    if owner != os.geteuid():  # whose files these became the agent could not open any more
        raise BadField(field="user", reason=f"run this as {_user_name(owner)!r}, whose agent the store belongs to")
    with open_stewardship(name, places) as stewardship:
        yield stewardship


def _write(file: Path, found: Approval) -> None:
    """Nothing here reads the pickle; it is for a steward's own tools."""
    import base64

    try:
        with file.open("xb") as stream:
            stream.write(base64.b64decode(found.pickle))
    except OSError as error:
        raise FileNotWritable(file=str(file), reason=error.strerror or str(error)) from None


def _row(found: Approval) -> list[str]:
    from datacanal.site.approvals import SHORT, short_image  # as above

    return [
        found.code[:SHORT],
        _kind(found),
        found.name,
        short_image(found.image),
        _state(found),
        found.principal,
        found.purpose or "",
        ", ".join(sorted(found.datasets)),
        instant(found.asked_ms),
    ]


def _state(found: Approval) -> str:
    """A grant that does not hold for all that was asked says so."""
    if found.state != "granted":
        return found.state
    if found.expires_ms is not None and found.expires_ms <= _ms(datetime.now(UTC)):
        return "expired"
    return "granted" if found.datasets <= found.granted else "granted in part"


def _document(found: Approval) -> dict[str, Any]:
    return {
        "kind": _kind(found),
        ("product" if found.product else "function"): found.name,
        "code": found.code,
        "image": found.image,
        "state": _state(found),
        "tenant": found.tenant,
        "who": found.principal,
        "purpose": found.purpose,
        "job": found.job,
        "asked": instant(found.asked_ms),
        "datasets": sorted(found.datasets),
        "granted": sorted(found.granted),
        "by": found.decided_by,
        "decided": None if found.decided_ms is None else instant(found.decided_ms),
        "expires": None if found.expires_ms is None else instant(found.expires_ms),
    }


def _print(document: Any) -> None:
    """In ASCII: names and source are somebody else's, and this may be a terminal."""
    print(json.dumps(document, indent=2))


def _named(found: Approval) -> str:
    from datacanal.site.approvals import SHORT, short_image  # as above

    if found.product:
        return f"the product {found.product} (code {found.code[:SHORT]})"
    return f"the function {found.name!r} (code {found.code[:SHORT]}, image {short_image(found.image)})"


def _kind(found: Approval) -> str:
    return "publication" if found.product else "function"


def _may(found: Approval) -> str:
    return "may be made of" if found.product else "may read"


def _ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
