"""`datacanal job …`."""

from __future__ import annotations

from typing import Annotated

import typer

from datacanal.cli import query as sql
from datacanal.cli.output import FormatOption, OutputOption, chosen_format, put_result, withheld_text
from datacanal.cli.session import AsJson, connect, print_json, print_table
from datacanal.cli.statement import read_statement
from datacanal.cli.text import bytes_text, visible
from datacanal.protocol.public import AttemptView, JobEgress, JobView

JobId = Annotated[str, typer.Argument(metavar="JOB", help="The job's id.")]


def add_to(app: typer.Typer) -> None:
    """The group."""
    group = typer.Typer(help="Submit, follow, cancel and fetch jobs.", no_args_is_help=True)
    group.command("submit")(submit)
    group.command("run")(sql.run_sql)
    group.command("list")(list_jobs)
    group.command("show")(show)
    group.command("logs")(logs)
    group.command("cancel")(cancel)
    group.command("retry")(retry)
    group.command("result")(result)
    app.add_typer(group, name="job")


def submit(
    query: sql.Query = None,
    file: sql.File = None,
    param: sql.Params = None,
    queue_timeout: sql.QueueTimeout = None,
    run_timeout: sql.RunTimeout = None,
    total_timeout: sql.TotalTimeout = None,
    purpose: sql.Purpose = None,
) -> None:
    """Submit a SELECT and print the job's id without waiting."""
    timeouts = (queue_timeout, run_timeout, total_timeout)
    request = sql.asked_for(read_statement(query, file), param, timeouts, purpose)
    with connect() as client:
        print(request(client).id)


def list_jobs(
    limit: Annotated[int, typer.Option("--limit", min=1, help="At most this many.")] = 20, as_json: AsJson = False
) -> None:
    """The newest jobs, newest first."""
    with connect() as client:
        found = client.jobs(limit)
    if as_json:
        print_json(found)
        return
    print_table(
        ["job", "state", "submitted", "by", "statement"],
        [
            [job.id, job.state, f"{job.submitted_at:%Y-%m-%d %H:%M:%S}", job.principal, " ".join(job.sql.split())]
            for job in found
        ],
    )


def show(
    job_id: JobId,
    egress: Annotated[bool, typer.Option("--egress", help="What left its sites for it, and what was refused.")] = False,
    as_json: AsJson = False,
) -> None:
    """One job: state, steps, transfers, and why it waits or failed."""
    with connect() as client:
        job = client.job(job_id)
        shown = job.egress() if egress else job.view
    if as_json:
        print_json(shown)
    elif isinstance(shown, JobEgress):
        _print_egress(shown)
    else:
        _print_job(shown)


def _print_egress(egress: JobEgress) -> None:
    print_table(
        ["site", "entry", "at (UTC)", "decision", "of", "step", "to", "rows", "size", "withheld", "hash", "reason"],
        [
            [
                entry.site, str(entry.seq), f"{entry.at:%Y-%m-%d %H:%M:%S}", entry.decision, entry.kind, entry.step,
                ", ".join(entry.receivers), f"{entry.rows:,}", bytes_text(entry.bytes),
                f"{entry.withheld_groups:,}" if entry.withheld_groups else "", entry.hash[:12], entry.reason,
            ]
            for entry in egress.entries
        ],
        right=[False, True, False, False, False, False, False, True, True, True],
    )  # fmt: skip


def _print_job(view: JobView) -> None:
    stats = view.stats
    print(f"{view.id}  {view.state}  submitted {view.submitted_at:%Y-%m-%d %H:%M:%S} by {visible(view.principal)}")
    print(visible(view.sql, keep="\n"))
    if view.waits:
        print(f"waits: {visible(view.waits)}")
    if view.problem:
        print(visible(f"{view.problem.code}: {view.problem.detail}\n{view.problem.remedy}", keep="\n"))
    print(f"scanned {bytes_text(stats.bytes_scanned)}, moved {bytes_text(stats.bytes_moved)}, {stats.elapsed_ms} ms")
    if view.receipt is not None:
        print(f"receipt {view.receipt}, {view.worker_ms} ms of workers")
    steps = [
        [step.id, step.site, step.kind, step.state, str(step.attempt), f"{step.fraction:.0%}", step.waits or ""]
        for step in view.steps
    ]
    if steps:
        print_table(["step", "site", "kind", "state", "attempt", "done", "waits"], steps)
    if view.result:
        result = view.result
        expires = f"{result.expires_at:%Y-%m-%d %H:%M:%S}"
        print(f"result: {result.rows:,} rows, {bytes_text(result.bytes)} at {result.site}, until {expires}")
        if result.withheld_groups:
            print(withheld_text(result.withheld_groups))


def logs(
    job_id: JobId,
    text: Annotated[
        bool, typer.Option("--text", help="In their own words, if policies let them out: charged and recorded.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """What each attempt of each step came to."""
    with connect() as client:
        found = client.job(job_id).logs(text=text)
    if as_json:
        print_json(found)
        return
    for attempt in found.attempts:
        print(_attempt_text(attempt))


def _attempt_text(attempt: AttemptView) -> str:
    head = f"{attempt.step} at {attempt.site}, attempt {attempt.attempt} (fence {attempt.fence}): {attempt.outcome}"
    if attempt.finished_at is not None:
        head += f" after {(attempt.finished_at - attempt.started_at).total_seconds():.1f} s"
    problems = [f"{each.code}: {each.detail}\n{each.remedy}" for each in (attempt.problem, attempt.kept) if each]
    said = attempt.said.rstrip() + ("\n(cut: the rest stays at its site)" if attempt.cut else "")
    return "\n".join(visible(part, keep="\n\t") for part in (head, *problems, said) if part)


def cancel(job_id: JobId) -> None:
    """Ask to stop a job."""
    with connect() as client:
        job = client.job(job_id).cancel()
    print(f"{job.id} {job.state}{' (cancel requested)' if not job.is_finished else ''}")


def retry(job_id: JobId) -> None:
    """Submit the same request again, over the newest snapshots; prints the new job's id."""
    with connect() as client:
        print(client.job(job_id).retry().id)


def result(job_id: JobId, asked: FormatOption = None, output: OutputOption = None) -> None:
    """Fetch the result of a job; waits for one that still runs."""
    chosen = chosen_format(asked, output)
    with connect() as client:
        put_result(client.job(job_id), chosen, output)
