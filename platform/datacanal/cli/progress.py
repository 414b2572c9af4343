"""Waiting for a job: one line on a terminal's stderr that changes, nothing anywhere else. Ctrl-C asks to cancel."""

from __future__ import annotations

import sys

from rich.console import Console

from datacanal.cli.text import bytes_text, visible
from datacanal.client import Job
from datacanal.domain.errors import DatacanalError, JobCancelled
from datacanal.protocol.public import JobStats, JobView, StepView

_REDRAW_S = 0.25
_CANCEL_PATIENCE_S = 20.0


def follow(job: Job) -> None:
    """Until the job has ended; raises its problem when it failed.

    Ctrl-C asks the service to cancel and waits for that; a second one leaves at once.
    """
    try:
        _wait_shown(job)
    except KeyboardInterrupt:
        _cancel(job)
        raise JobCancelled(job=job.id) from None
    job.raise_for_failure()


def tell_stats(stats: JobStats) -> None:
    """What the job took, on a terminal only."""
    if not sys.stderr.isatty():
        return
    rows = "" if stats.result_rows is None else f"{stats.result_rows:,} rows, "
    print(
        f"{rows}{stats.elapsed_ms / 1000:.2f} s, scanned {bytes_text(stats.bytes_scanned)}, "
        f"moved {bytes_text(stats.bytes_moved)}  ({stats.job_id})",
        file=sys.stderr,
    )


def _wait_shown(job: Job) -> None:
    console = Console(stderr=True)
    if not console.is_terminal:
        job.wait()
        return
    with console.status(_line(job.view)) as status:
        while not job.is_finished:
            job.refresh(wait_s=_REDRAW_S)
            status.update(_line(job.view))


def _line(view: JobView) -> str:
    parts = [view.id, view.waits or view.state]
    parts += [_step_text(step) for step in view.steps if step.state == "running"]
    return visible(" · ".join(parts)).replace("[", "\\[")


def _step_text(step: StepView) -> str:
    done = f" {step.fraction:.0%}" if step.fraction else ""
    return f"{step.id} at {step.site}{done}"


def _cancel(job: Job) -> None:
    print(f"cancelling {job.id} …", file=sys.stderr)
    try:
        job.cancel().wait(timeout_s=_CANCEL_PATIENCE_S)
    except DatacanalError as error:
        # It may have ended in the meantime, or the service is gone: the user leaves either way.
        print(visible(f"{error.code}: {error.detail}"), file=sys.stderr)
