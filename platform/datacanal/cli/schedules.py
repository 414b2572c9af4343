"""`datacanal schedule …`."""

from __future__ import annotations

from typing import Annotated, cast, get_args

import typer

from datacanal.cli import query as sql
from datacanal.cli.session import AsJson, connect, print_json, print_table
from datacanal.cli.statement import read_statement
from datacanal.cli.text import visible
from datacanal.domain.errors import BadField
from datacanal.protocol.products import CatchUp, ScheduleRun, ScheduleView

Name = Annotated[str, typer.Argument(metavar="NAME", help="The schedule's name.")]
_RULES = ", ".join(get_args(CatchUp))


def add_to(app: typer.Typer) -> None:
    """The group."""
    group = typer.Typer(help="Jobs that are submitted by themselves.", no_args_is_help=True)
    group.command("create")(create)
    group.command("list")(list_schedules)
    group.command("show")(show)
    group.command("runs")(runs)
    group.command("pause")(pause)
    group.command("resume")(resume)
    group.command("run")(run)
    group.command("remove")(remove)
    app.add_typer(group, name="schedule")


def create(
    name: Name,
    cron: Annotated[str, typer.Option("--cron", help="minute hour day-of-month month day-of-week")],
    query: sql.Query = None,
    file: sql.File = None,
    timezone: Annotated[str, typer.Option("--timezone", help="IANA name: whose wall clock the cron means.")] = "UTC",
    calendar: Annotated[str | None, typer.Option("--calendar", help="XSHG, XNYS, …: only on its sessions.")] = None,
    catch_up: Annotated[str, typer.Option("--catch-up", help=f"Of what passed while nothing ran: {_RULES}.")] = "last",
    product: Annotated[str | None, typer.Option("--product", help="Publish a version of it from every run.")] = None,
    promote: Annotated[bool, typer.Option("--promote", help="Make that stable when its checks pass.")] = False,
    param: sql.Params = None,
    queue_timeout: sql.QueueTimeout = None,
    run_timeout: sql.RunTimeout = None,
    total_timeout: sql.TotalTimeout = None,
    purpose: sql.Purpose = None,
    as_json: AsJson = False,
) -> None:
    """Submit a SELECT or a function whenever the cron says; it is planned now, so that mistakes show."""
    if catch_up not in get_args(CatchUp):
        raise BadField(field="--catch-up", reason=f"{catch_up!r} is none of {_RULES}")
    timeouts = (queue_timeout, run_timeout, total_timeout)
    job = sql.request_of(read_statement(query, file), param, timeouts, purpose)
    rule = cast("CatchUp", catch_up)
    with connect() as client:
        made = client.schedules.create(
            name, cron, job, timezone=timezone, calendar=calendar, catch_up=rule, product=product, promote=promote
        )
    _tell(made, as_json)


def list_schedules(as_json: AsJson = False) -> None:
    """The schedules, with when each is due next."""
    with connect() as client:
        found = client.schedules.every()
    if as_json:
        print_json(found)
        return
    print_table(
        ["schedule", "cron", "time zone", "calendar", "next (UTC)", "last run", "product", "owner"],
        [
            [
                view.name, view.cron, view.timezone, view.calendar or "", _next_text(view),
                view.runs[0].state if view.runs else "", view.product or "", view.owner,
            ]
            for view in found
        ],
    )  # fmt: skip


def show(name: Name, as_json: AsJson = False) -> None:
    """One schedule: what it runs, when, and its newest runs."""
    with connect() as client:
        view = client.schedules.show(name)
    if as_json:
        print_json(view)
        return
    print(f"{view.name}  {view.cron}  {view.timezone}  {view.calendar or 'every day'}  of {visible(view.owner)}")
    print(visible(view.job.sql if view.job.python is None else f"function {view.job.python.name}", keep="\n"))
    print(f"next (UTC): {_next_text(view)}; catch up: {view.catch_up}")
    if view.product:
        print(f"publishes {view.product}{', and promotes it' if view.promote else ''}")
    _print_runs(view.runs)


def runs(
    name: Name,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help="At most this many.")] = 20,
    as_json: AsJson = False,
) -> None:
    """The newest runs, newest first, with what went wrong."""
    with connect() as client:
        found = client.schedules.runs(name, limit)
    if as_json:
        print_json(found)
    else:
        _print_runs(found)


def pause(name: Name, as_json: AsJson = False) -> None:
    """Let nothing come due until it is resumed; what runs goes on."""
    with connect() as client:
        _tell(client.schedules.pause(name), as_json)


def resume(name: Name, as_json: AsJson = False) -> None:
    """Let times come due again; those of the pause are not made up for."""
    with connect() as client:
        _tell(client.schedules.resume(name), as_json)


def run(name: Name, as_json: AsJson = False) -> None:
    """Run it now, whatever the cron says; while another run goes on it waits."""
    with connect() as client:
        begun = client.schedules.run(name)
    if as_json:
        print_json(begun)
    else:
        print(f"{name} due now; `datacanal schedule runs {name}` shows what becomes of it")


def remove(name: Name) -> None:
    """Forget a schedule and its runs; a job of it that runs goes on."""
    with connect() as client:
        client.schedules.remove(name)
    print(f"{name} removed")


def _tell(view: ScheduleView, as_json: bool) -> None:
    if as_json:
        print_json(view)
    else:
        print(f"{view.name}: paused" if view.paused else f"{view.name}: next {_next_text(view)}")


def _next_text(view: ScheduleView) -> str:
    if view.paused:
        return "paused"
    return f"{view.next_at:%Y-%m-%d %H:%M}" if view.next_at else "not known yet"


def _print_runs(found: list[ScheduleRun]) -> None:
    rows = [
        [
            f"{each.due_at:%Y-%m-%d %H:%M:%S}", each.state, each.job or "", each.version or "",
            f"{each.finished_at:%Y-%m-%d %H:%M:%S}" if each.finished_at else "",
            f"{each.problem.code}: {each.problem.detail}" if each.problem else "",
        ]
        for each in found
    ]  # fmt: skip
    if rows:
        print_table(["due (UTC)", "state", "job", "version", "finished (UTC)", "problem"], rows)
