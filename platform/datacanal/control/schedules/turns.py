"""Times that come due become runs, and runs get their turns: never two of one schedule at once.

While one runs the next time waits. One may wait, or as many as `MOST_WAITING` says; where more come due the oldest of
them are left out, because newer ones see newer data.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from datacanal.control.changes import Change
from datacanal.control.schedules.rows import ACTIVE, SCHEDULES, add_run, forget_old_runs, leave_out, waiting_runs
from datacanal.control.schedules.times import MOST_WAITING, Due
from datacanal.protocol.problem import Problem
from datacanal.state.product_models import ScheduleRow, ScheduleRunRow


def come_due(change: Change, schedule_id: str, expected: datetime | None, found: Due) -> None:
    """Enter what became due; nothing where the schedule was changed after it was looked at (`expected`)."""
    row = change.session.get(ScheduleRow, schedule_id)
    if row is None or row.paused or row.next_at != expected:
        return
    for time in found.times:
        add_run(change, row, time)
    if found.forgotten is not None:
        reason = f"it passed, with every other since {expected:%Y-%m-%d %H:%M} UTC, while nothing ran"
        leave_out(change, [add_run(change, row, found.forgotten)], f"{reason} (catch_up is {row.catch_up!r})")
    row.next_at = found.following
    change.wakes.add(SCHEDULES)
    forget_old_runs(change, schedule_id)


def take_turns(change: Change) -> None:
    """Where none runs the oldest that waits begins; too many that still wait are left out."""
    waits = select(ScheduleRow).where(
        ScheduleRow.id.in_(select(ScheduleRunRow.schedule_id).where(ScheduleRunRow.state == "waiting"))
    )
    running = set(active_runs(change.session).values())
    for row in change.session.scalars(waits).all():
        waiting = waiting_runs(change.session, row.id)
        if row.id not in running:
            begins = waiting.pop(0)
            begins.state = "running"
            begins.started_at = change.clock.now()
        most = MOST_WAITING[row.catch_up]
        leave_out(change, waiting[:-most], "a later time came due while an earlier run had not ended")


def active_runs(session: Session) -> dict[int, str]:
    """Runs that have begun and not ended, with their schedules."""
    active = select(ScheduleRunRow.id, ScheduleRunRow.schedule_id).where(ScheduleRunRow.state.in_(ACTIVE))
    return dict(session.execute(active).all())


def settle(change: Change, run_id: int, problem: Problem | None) -> None:
    """End a run; without effect on one that was removed meanwhile."""
    run = change.session.get(ScheduleRunRow, run_id)
    change.wakes.add(SCHEDULES)
    if run is None:
        return
    run.state = "succeeded" if problem is None else "failed"
    run.problem = None if problem is None else problem.model_dump_json()
    run.finished_at = change.clock.now()
