"""`datacanal demo`: two sample bank lakes, the whole service, one question that needs both lakes."""

from __future__ import annotations

import shlex
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from datacanal.cli.demo.lakes import SampleSize, ensure_lakes
from datacanal.cli.demo.metering import Developer, show_metering
from datacanal.cli.demo.product import NAME, show_product
from datacanal.cli.demo.questions import MAIN, SECOND
from datacanal.cli.demo.service import free_layout, running_service
from datacanal.cli.init import write_configuration
from datacanal.cli.output import result_lines
from datacanal.cli.text import bytes_text
from datacanal.cli.up import one_instance
from datacanal.client import Client, Job
from datacanal.configuration import load_configuration, url_of
from datacanal.domain.errors import FileNotWritable
from datacanal.protocol.public import Event

_DEFAULT = Path(".cache/datacanal-demo")


def add_to(app: typer.Typer) -> None:
    """The command."""
    app.command("demo")(demo)


def demo(
    keep: Annotated[bool, typer.Option("--keep", help="Leave the service running until Ctrl-C.")] = False,
    directory: Annotated[Path, typer.Option("--dir", metavar="DIR", help="Lakes and state; kept.")] = _DEFAULT,
    scale: Annotated[float, typer.Option("--scale", min=0.001, max=100, help="1 is 2,000,000 payments.")] = 1.0,
) -> None:
    """One question over two sample lakes, what moved, the answer as a product, a key, a quota, the bill."""
    directory = directory.resolve()
    configuration = _prepared(directory, SampleSize(scale=scale))
    with _stoppable(), running_service(configuration) as service:
        loaded = load_configuration(configuration)
        url, gateway = loaded.control_url, url_of(loaded.gateway_on(None))
        _say(f"The service runs at {url}: a control plane and the sites core and people; a gateway at {gateway}.")
        token = (directory / "state" / "admin.token").read_text(encoding="utf-8").strip()
        with Client(url, token, gateway=gateway) as client:
            job = _show_question(client)
            show_product(client, job, _say)
            show_metering(client, Developer(_developer_token(client, job), gateway, configuration), _say)
        _print_commands(configuration, directory / "state", url, gateway, is_running=keep)
        if keep:
            _say("It keeps running; Ctrl-C stops it.")
            with suppress(KeyboardInterrupt):
                service.wait()
    _say("Stopped.")


def _prepared(directory: Path, size: SampleSize) -> Path:
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with one_instance(directory / "state"):
            began = time.monotonic()
            _say(f"Two sample lakes in {directory / 'lakes'} …")
            was_made = ensure_lakes(directory / "lakes", size)
            how = f"made in {time.monotonic() - began:.1f} s" if was_made else "found as they were made before"
            _say(f"  {size.payments:,} payments and {size.customers:,} customers, {how}")
            return write_configuration(directory, free_layout())
    except OSError as error:
        raise FileNotWritable(file=str(directory), reason=error.strerror or str(error)) from None


def _developer_token(client: Client, job: Job) -> str:
    """Of an outside developer, for an hour; another one each time, whose quota is whole."""
    expires = datetime.now(UTC) + timedelta(hours=1)
    return client.create_token(f"developer-{job.id[-6:].lower()}", "developer", expires=expires).secret


def _show_question(client: Client) -> Job:
    _say(f"\nThe question needs both lakes:\n\n{MAIN}\n")
    _say(f"The plan, before anything runs:\n\n{client.explain(MAIN).text.rstrip()}\n")
    job = client.sql(MAIN)
    _say(f"Submitted as {job.id}.")
    for event in job.events():
        _say(f"  {(event.at - job.view.submitted_at).total_seconds():6.2f} s  {event_text(event)}")
    job.wait().raise_for_failure()
    _say("")
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    table = job.to_arrow()
    _say("\n".join(result_lines(table, table.num_rows, width)))
    _show_figures(client, job)
    return job


def _show_figures(client: Client, job: Job) -> None:
    stats = job.stats
    lakes_bytes = sum(dataset.bytes for dataset in client.datasets())
    share = stats.bytes_moved / lakes_bytes if lakes_bytes else 0.0
    _say(f"\n{_rows_text(stats.result_rows)} in {stats.elapsed_ms / 1000:.2f} s")
    for transfer in stats.transfers:
        _say(
            f"  {transfer.from_} → {transfer.to}: {transfer.rows:,} rows, {bytes_text(transfer.bytes_wire)} "
            f"(estimated {bytes_text(transfer.bytes_estimated)})"
        )
    _say(f"  read beside the lakes: {bytes_text(stats.bytes_scanned)} of {bytes_text(lakes_bytes)} in both")
    _say(f"  moved between the sites: {bytes_text(stats.bytes_moved)}, {share:.2%} of the lakes")


def event_text(event: Event) -> str:
    """`scan_occ1 at people: running`, or what happened to the job itself."""
    subject, _, change = event.event.partition("_")
    step = f"{event.data.get('step')} at {event.data.get('site')}" if subject == "step" else "the job"
    return f"{step}: {change.replace('_', ' ')}"


def _rows_text(rows: int | None) -> str:
    """`3 rows`, `1 row`."""
    return "1 row" if rows == 1 else f"{rows or 0:,} rows"


def _print_commands(configuration: Path, home: Path, url: str, gateway: str, *, is_running: bool) -> None:
    program = shlex.quote(str(_program()))
    place = f"DATACANAL_URL={url} DATACANAL_GATEWAY={gateway} DATACANAL_HOME={shlex.quote(str(home))}"
    start = f"{program} up --config {shlex.quote(str(configuration))}"
    question = shlex.quote(SECOND)
    if is_running:
        _say("\nTry it from another terminal:\n")
        _say(f"  {place} {program} dataset list")
    else:
        _say(
            "\nFour commands to go on with; the first starts the service again, the others are for another terminal:\n"
        )
        _say(f"  {start}")
    _say(f"  {place} {program} sql {question}")
    _say(f"  {place} {program} explain {question}")
    _say(f"  {place} {program} product get {NAME} country=CZ,AT --order segment\n")


def _program() -> Path:
    beside = Path(sys.executable).with_name("datacanal")
    return beside if beside.exists() else Path(sys.argv[0]).resolve()


@contextmanager
def _stoppable() -> Iterator[None]:
    """A SIGTERM ends the demonstration as Ctrl-C does, so that the service is stopped in order."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _say(text: str) -> None:
    print(text, flush=True)
