"""Runs with a product are published: what becomes of them when that ends well, ends badly, or the service dies."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta

import pytest
from sqlalchemy import select
from tests.unit.control.story import Story

from datacanal.control.schedules.carrying import Carrier
from datacanal.control.schedules.keeper import ScheduleKeeper
from datacanal.control.schedules.publishing import Publisher
from datacanal.control.schedules.rows import SCHEDULES
from datacanal.domain.product_errors import ContractHeld
from datacanal.protocol.public import JobRequest
from datacanal.state.models import JobRow
from datacanal.state.product_models import ScheduleRow, ScheduleRunRow
from datacanal.testing.schedule_fakes import JobsThatSucceed, PublisherOf, PublisherThatHangs

HELD = ContractHeld(version="1.1", product="bank.bars", checks="drift", accept="")


def schedule(story: Story, product: str | None = "bank.bars", calendar: str | None = None) -> None:
    """Due in half an hour."""
    row = ScheduleRow(
        id="sch_1", tenant="default", principal="ana", name="daily", role="publisher", groups='["risk"]',
        request=JobRequest(sql="at core").model_dump_json(), cron="30 * * * *", timezone="UTC", calendar=calendar,
        catch_up="last", product=product, promote=True, paused=False, created_at=story.clock.now(),
        next_at=story.clock.now() + timedelta(minutes=30),
    )  # fmt: skip
    story.write(lambda change: change.session.add(row))


def the_run(story: Story) -> ScheduleRunRow:
    return story.desk.read_now(lambda session: session.scalars(select(ScheduleRunRow)).one())


async def kept(story: Story, publisher: Publisher, until: Callable[[], Awaitable[object]]) -> JobsThatSucceed:
    """A keeper works until that has happened, and is stopped as a process is."""
    jobs = JobsThatSucceed(story.desk)
    keeper = ScheduleKeeper(story.desk, Carrier(story.desk, jobs, publisher))
    task = asyncio.create_task(keeper.run())
    await until()
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    await keeper.close()
    return jobs


def ended(story: Story) -> Callable[[], Awaitable[None]]:
    async def wait() -> None:
        with story.desk.signals.subscribe(SCHEDULES) as changes:
            while not story.desk.read_now(_ended):
                await changes.next(20)

    return wait


def _ended(session: object) -> bool:
    found = session.scalars(select(ScheduleRunRow.finished_at)).all()  # type: ignore[attr-defined]
    return bool(found) and None not in found


def test_a_version_is_published_of_the_job_in_the_owners_name(story: Story) -> None:
    schedule(story)
    story.clock.advance(1800)
    publisher = PublisherOf(story.desk)
    jobs = asyncio.run(kept(story, publisher, ended(story)))
    run = the_run(story)
    assert (run.state, run.problem) == ("succeeded", None)
    ((owner, product, job, promote, name),) = publisher.asked
    assert (owner.name, owner.role, owner.groups) == ("ana", "publisher", ("risk",))
    assert (product, job, promote, name) == ("bank.bars", run.job_id, True, "daily")
    assert jobs.keys == [f"schedule:sch_1:{run.due_at.isoformat()}"]


def test_a_version_that_is_held_fails_the_run_and_keeps_its_reason(story: Story) -> None:
    schedule(story)
    story.clock.advance(1800)
    asyncio.run(kept(story, PublisherOf(story.desk, HELD), ended(story)))
    run = the_run(story)
    assert run.state == "failed"
    assert run.snapshot is not None
    assert "contract_held" in str(run.problem)


def test_a_service_that_died_while_a_version_was_made_goes_on_with_the_same_one(story: Story) -> None:
    schedule(story)
    story.clock.advance(1800)
    dying = PublisherThatHangs(story.desk)
    asyncio.run(kept(story, dying, dying.waits))
    assert the_run(story).state == "publishing"
    snapshot = the_run(story).snapshot
    story.reopen()
    publisher = PublisherOf(story.desk)
    asyncio.run(kept(story, publisher, ended(story)))
    assert (the_run(story).state, the_run(story).snapshot) == ("succeeded", snapshot)
    assert publisher.asked == []
    assert len(story.desk.read_now(lambda session: session.scalars(select(JobRow)).all())) == 1


def test_a_failure_that_nobody_foresaw_ends_the_run_and_not_the_keeper(story: Story) -> None:
    class Broken(PublisherOf):
        async def outcome(self, snapshot: str) -> None:
            raise RuntimeError(snapshot)

    schedule(story)
    story.clock.advance(1800)
    asyncio.run(kept(story, Broken(story.desk), ended(story)))
    assert the_run(story).state == "failed"
    assert "internal_error" in str(the_run(story).problem)


@pytest.mark.parametrize("calendar", ["XSHG", "GONE"])
def test_a_calendar_that_tells_nothing_any_more_makes_nothing_due(story: Story, calendar: str) -> None:
    """Sessions of Shanghai are announced for a year at a time, and the clock here says 2030."""
    schedule(story, product=None, calendar=calendar)
    story.clock.advance(1800)

    async def unknown() -> None:
        with story.desk.signals.subscribe(SCHEDULES) as changes:
            while story.desk.read_now(lambda session: session.get_one(ScheduleRow, "sch_1").next_at) is not None:
                await changes.next(20)

    asyncio.run(kept(story, PublisherOf(story.desk), unknown))
    assert story.desk.read_now(lambda session: session.scalars(select(ScheduleRunRow)).all()) == []
