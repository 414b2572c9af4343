"""`datacanal site record …` and `datacanal site log`: what a site keeps, read on its own machine and nowhere else."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from datacanal.cli.moments import parse_since
from datacanal.cli.session import AsJson, print_table
from datacanal.cli.text import bytes_text, visible
from datacanal.configuration import load_configuration
from datacanal.domain.errors import BadField, NotFound, RecordDamaged
from datacanal.site.places import Places
from datacanal.site.record.entry import Recorded
from datacanal.site.record.reading import Wanted, read_entries, read_entry
from datacanal.site.words.local import read_words

Config = Annotated[Path, typer.Option("--config", metavar="FILE", help="The configuration file of the site.")]
SiteName = Annotated[str | None, typer.Option("--site", help="Needed where the file has several sites.")]
DEFAULT_CONFIG = Path("datacanal.toml")


class Decided(StrEnum):
    """What entries decide."""

    RELEASED = "released"
    REFUSED = "refused"
    SERVED = "served"
    ACCEPTED = "accepted"


def add_to(site: typer.Typer) -> None:
    """The commands, in the group `site`."""
    record = typer.Typer(help="The site's own record of every decision; on its machine.", no_args_is_help=True)
    record.command("list")(list_entries)
    record.command("show")(show_entry)
    record.command("verify")(verify)
    site.add_typer(record, name="record")
    site.command("log")(log)


def list_entries(
    config: Config = DEFAULT_CONFIG,
    site: SiteName = None,
    job: Annotated[str | None, typer.Option("--job", help="Only entries about this job.")] = None,
    since: Annotated[str | None, typer.Option("--since", help="12h, 30d, or an ISO date or time (UTC).")] = None,
    decision: Annotated[Decided | None, typer.Option("--decision", help="Only entries that decide this.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="At most this many.")] = 50,
    as_json: AsJson = False,
) -> None:
    """The newest entries of the record, newest first."""
    since_ms = int(parse_since(since, datetime.now(UTC)).timestamp() * 1000) if since else None
    name, places = site_places(config, site)
    with _damage_named(name):
        found = read_entries(places.database, Wanted(job, since_ms, decision.value if decision else None, limit))
    if as_json:
        _print([entry.document for entry in found])
        return
    print_table(
        ["entry", "at (UTC)", "decision", "of", "job", "step", "who", "to", "rows", "size", "reason"],
        [_row(entry) for entry in found],
        right=[True, False, False, False, False, False, False, False, True, True],
    )


def _row(recorded: Recorded) -> list[str]:
    entry = recorded.entry
    return [
        str(recorded.seq),
        instant(entry.at_ms),
        entry.decision,
        entry.kind,
        entry.job,
        entry.step,
        entry.principal,
        ", ".join(entry.receivers),
        f"{entry.rows:,}",
        bytes_text(entry.bytes),
        entry.reason,
    ]


def show_entry(
    seq: Annotated[int, typer.Argument(metavar="ENTRY", help="The entry's number.")],
    config: Config = DEFAULT_CONFIG,
    site: SiteName = None,
    as_json: AsJson = False,
) -> None:
    """One entry, whole."""
    name, places = site_places(config, site)
    with _damage_named(name):
        found = read_entry(places.database, seq)
    if as_json:
        _print(found.document)
        return
    for name, value in {**found.document, "at_ms": f"{found.entry.at_ms} ({instant(found.entry.at_ms)} UTC)"}.items():
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        print(visible(f"{name:<16} {text}"))


def verify(config: Config = DEFAULT_CONFIG, site: SiteName = None) -> None:
    """Check every entry, the chain and the signed head; fails naming the first entry that does not hold."""
    name, places = site_places(config, site)
    # What signatures need is loaded by this command alone.
    from datacanal.site.keys import public_key
    from datacanal.site.record.verifying import Verifier

    head = Verifier(name, public_key(places.home), places.database, places.home).verify()
    print(f"the record of site {name} holds: {head.count:,} entries, the last with hash {head.hash}")


def log(
    job: Annotated[str, typer.Argument(metavar="JOB", help="The job's id.")],
    config: Config = DEFAULT_CONFIG,
    site: SiteName = None,
) -> None:
    """What the attempts of a job said, in the engine's own words, which may quote data: for the site's steward."""
    name, places = site_places(config, site)
    with _damage_named(name):
        found = read_words(places.database, job)
    if not found:
        raise NotFound(what=f"attempt at site {name} of the job", name=job)
    for attempt in found:
        print(visible(f"{attempt.step}, attempt {attempt.attempt} (fence {attempt.fence}): {attempt.outcome}, ended "
                      f"{instant(attempt.finished_ms)} UTC"))  # fmt: skip
        if attempt.said:
            print(visible(attempt.said.rstrip(), keep="\n\t"))


def site_places(config: Path, asked: str | None) -> tuple[str, Places]:
    """The site that is meant. Raises `BadField` where that is not clear."""
    configuration = load_configuration(config)
    names = [site.name for site in configuration.sites]
    if asked is None and len(names) != 1:
        raise BadField(field="--site", reason=f"{config} has the sites {', '.join(names) or 'none'}; name one")
    name = configuration.site(asked or names[0]).name
    return name, Places(configuration.site_home(name))


@contextmanager
def _damage_named(site: str) -> Iterator[None]:
    try:
        yield
    except sqlite3.DatabaseError as error:
        raise RecordDamaged(site=site, seq=0, reason=f"the store cannot be read ({error})") from None


def instant(at_ms: int) -> str:
    """In UTC, to the second."""
    return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%d %H:%M:%S}"


def _print(document: Any) -> None:
    print(json.dumps(document, ensure_ascii=False, indent=2))
