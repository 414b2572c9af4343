"""`datacanal ledger …`: prove the ledger, export it, correct it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from datacanal.cli.moments import parse_since
from datacanal.cli.session import AsJson, connect, print_json
from datacanal.client.download import atomic_file
from datacanal.configuration import Configuration, load_configuration
from datacanal.domain.errors import BadField, NotFound
from datacanal.domain.metering_errors import LedgerDamaged

if TYPE_CHECKING:
    from datacanal.ledger.store import LedgerStore
    from datacanal.ledger.verifying import Report
    from datacanal.ledger.walking import Fault

Config = Annotated[Path, typer.Option("--config", metavar="FILE", help="The configuration file of the home.")]
KeyFile = Annotated[Path | None, typer.Option("--key", help="The public key; else ledger.pub of the home.")]
CopyFile = Annotated[
    Path | None, typer.Option("--checkpoints", help="The copy of the checkpoints; else as configured.")
]
DEFAULT_CONFIG = Path("datacanal.toml")


class ExportFormat(StrEnum):
    """CloudEvents as lines of JSON, or a table with the same columns."""

    NDJSON = "ndjson"
    PARQUET = "parquet"


def add_to(app: typer.Typer) -> None:
    """The group."""
    group = typer.Typer(help="The usage ledger: prove it, export it, correct it.", no_args_is_help=True)
    group.command("verify")(verify)
    group.command("export")(export)
    group.command("adjust")(adjust)
    app.add_typer(group, name="ledger")


def verify(
    config: Config = DEFAULT_CONFIG,
    exported: Annotated[
        Path | None, typer.Option("--export", help="An exported NDJSON file instead of the ledger; needs no home.")
    ] = None,
    key: KeyFile = None,
    checkpoints: CopyFile = None,
    as_json: AsJson = False,
) -> None:
    """Recompute the whole ledger and compare it with its checkpoints; fails naming what does not hold.

    On the machine of the home, also while gateways run; with --export, --key and --checkpoints anywhere.
    """
    report = _of_export(exported, key, checkpoints) if exported else _of_home(config, key, checkpoints)
    if as_json:
        print(json.dumps(_document(report), indent=2))
    else:
        _print(report)
    if report.faults:
        first = report.faults[0]
        raise LedgerDamaged(place=_place(first), reason=first.reason)


def export(
    output: Annotated[Path, typer.Option("-o", "--output", help="Write to this file, all of it or nothing.")],
    config: Config = DEFAULT_CONFIG,
    kind: Annotated[ExportFormat, typer.Option("--format", help="Default: ndjson.")] = ExportFormat.NDJSON,
    since: Annotated[str | None, typer.Option("--from", help="12h, 30d, or an ISO date or time (UTC).")] = None,
    until: Annotated[str | None, typer.Option("--to", help="The same; events before it.")] = None,
) -> None:
    """Write the events as CloudEvents (NDJSON, which `ledger verify --export` proves) or Parquet."""
    # What reads the ledger is loaded by these commands alone.
    from datacanal.ledger.exporting import Span, write_ndjson, write_parquet

    now = datetime.now(UTC)
    start = parse_since(since, now, "--from") if since else None
    end = parse_since(until, now, "--to") if until else None
    if start is not None and end is not None and end <= start:
        raise BadField(field="--to", reason="it must be after --from")
    span = Span(start, end)
    with _opened(load_configuration(config)) as store, atomic_file(output) as file:
        count = (write_ndjson if kind is ExportFormat.NDJSON else write_parquet)(store, span, file)
    print(f"{count:,} events in {output}")


def adjust(
    receipt: Annotated[str, typer.Argument(metavar="RECEIPT", help="rcp_…")],
    reason: Annotated[str, typer.Option("--reason", help="Why; it stands in the ledger.")],
    units: Annotated[int, typer.Option("--units", help="Units to add; negative gives back.")] = 0,
    rows: Annotated[int, typer.Option("--rows")] = 0,
    calls: Annotated[int, typer.Option("--calls")] = 0,
    size: Annotated[int, typer.Option("--bytes")] = 0,
    key: Annotated[str | None, typer.Option("--idempotency-key", help="Once only, however often it is run.")] = None,
    as_json: AsJson = False,
) -> None:
    """Correct a call of your product: an event of its own in the open period."""
    with connect() as client:
        made = client.ledger.adjust(
            receipt, reason, units=units, rows=rows, calls=calls, bytes=size, idempotency_key=key
        )
    print_json(made) if as_json else print(f"{made.id} corrects {receipt}: {made.units:+,} units")


def _of_home(config: Path, key: Path | None, copy: Path | None) -> Report:
    from datacanal.ledger.signing import PUBLIC_FILE, read_public
    from datacanal.ledger.verifying import verify as verify_book

    configuration = load_configuration(config)
    with _opened(configuration) as store:
        public = read_public(key or configuration.home / PUBLIC_FILE)
        return verify_book(store, public, copy or configuration.checkpoints)


def _of_export(exported: Path, key: Path | None, copy: Path | None) -> Report:
    from datacanal.ledger.auditing import verify_export
    from datacanal.ledger.signing import read_public

    if key is None or copy is None:
        option = "--key" if key is None else "--checkpoints"
        raise BadField(field=option, reason="an export is verified with the ledger's public key and its checkpoints")
    if not copy.is_file():
        raise BadField(field="--checkpoints", reason=f"there is no file {copy}")
    return verify_export(exported, read_public(key), copy)


@contextmanager
def _opened(configuration: Configuration) -> Iterator[LedgerStore]:
    from datacanal.ledger import DATABASE
    from datacanal.ledger.store import open_ledger
    from datacanal.storage.places import EMBEDDED

    file = configuration.home / DATABASE
    if configuration.control.database == EMBEDDED and not file.is_file():
        raise NotFound(what="ledger (a gateway makes it) at", name=str(file))
    with _readable(file):
        store = open_ledger(configuration.home, configuration.control.database)
        try:
            yield store
        finally:
            store.close()


@contextmanager
def _readable(file: Path) -> Iterator[None]:
    """Raises `LedgerDamaged` where the file is no database, or its pages are not whole."""
    from sqlalchemy.exc import DatabaseError

    try:
        yield
    except DatabaseError as error:
        if type(error) is not DatabaseError:  # a lock, a full disk: nothing of the file's own
            raise
        raise LedgerDamaged(place="event 1", reason=f"{file} cannot be read: {error.orig}") from None


def _print(report: Report) -> None:
    for fault in report.faults:
        print(fault.reason)
    sealed = f"sealed by checkpoint {report.sealed.number}" if report.sealed else "sealed by any checkpoint"
    state = "the ledger holds" if not report.faults else "the ledger does not hold; looked at"
    print(f"{state}: {report.count:,} events, the last with hash {report.head}")
    print(f"{report.count - report.unsealed:,} {sealed}, {report.unsealed:,} not sealed yet")
    for note in report.notes:
        print(note)


def _place(fault: Fault) -> str:
    match fault.what:
        case "checkpoint":
            return f"checkpoint {fault.first}"
        case "meter":
            return "event 1"
    return f"event {fault.first}"


def _document(report: Report) -> dict[str, object]:
    return {
        "holds": not report.faults,
        "events": report.count,
        "head": report.head,
        "checkpoint": report.sealed.number if report.sealed else None,
        "unsealed": report.unsealed,
        "notes": list(report.notes),
        "faults": [{"what": each.what, "first": each.first, "last": each.last, "reason": each.reason}
                   for each in report.faults],
    }  # fmt: skip
