"""What ended jobs used, in the book: each once, whatever is killed between."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select
from tests.unit.control.story import CORE, USERS, Story

from datacanal.control.leases import Agent
from datacanal.control.metering import JobMeter
from datacanal.domain.errors import ConversionFailed
from datacanal.domain.job import CancelAsked
from datacanal.ledger.models import BookRow, EventRow
from datacanal.ledger.store import LedgerStore
from datacanal.protocol.plan import Plan, PythonCode, PythonEnvironment, PythonWork
from datacanal.protocol.problem import problem_of
from datacanal.protocol.site import Done, Failed, Lease, Received
from datacanal.state.models import JobRow
from datacanal.storage.places import EMBEDDED
from datacanal.testing.compiler_fake import COLUMN, plan_across, plan_at


@pytest.fixture
def story(tmp_path: Path, migrated: Path, any_database: str) -> Iterator[Story]:
    """Its store is of both kinds, as is the book's."""
    if any_database == EMBEDDED:
        shutil.copytree(migrated, tmp_path / "home")
    story = Story(tmp_path / "home", any_database)
    yield story
    story.desk.close()


class Killed(Exception):
    """As far as the stores can tell, a kill -9 of the control plane."""


class MeterThatIsKilled(JobMeter):
    """Its process ends when the book has the events, before the jobs are marked."""

    async def meter(self) -> int:
        found = await self._desk.read(self._ended)
        self._append(found)
        raise Killed


def metered(story: Story, ledger: LedgerStore) -> int:
    return asyncio.run(JobMeter(story.desk, ledger).meter())


def events(ledger: LedgerStore) -> list[EventRow]:
    with ledger.reading_rows() as session:
        return list(session.scalars(select(EventRow).order_by(EventRow.seq)))


def report(story: Story, agent: Agent, lease: Lease, *, scanned: int, received: int, elapsed_ms: int) -> None:
    outcome = Done(
        output="o", rows=7, bytes=70, digest="d", columns=[COLUMN], offers=[], scanned_bytes=scanned,
        elapsed_ms=elapsed_ms, received=[Received(step="s1", rows=1, bytes=received)],
    )  # fmt: skip
    story.report(agent, lease, outcome)


def fail(story: Story, agent: Agent, lease: Lease, *, received: int, elapsed_ms: int) -> None:
    problem = problem_of(ConversionFailed(reason="x"))
    came = [Received(step="s1", rows=1, bytes=received)]
    story.report(agent, lease, Failed(problem=problem, elapsed_ms=elapsed_ms, received=came))


def figures(event: EventRow) -> tuple[str, str, int, int, int]:
    return event.request_id, event.outcome, event.scan_bytes, event.egress_bytes, event.worker_ms


def ran(story: Story, job: str, plan: Plan | None = None) -> None:
    story.submit(plan or plan_at("core"), job)
    report(story, CORE, story.leased(CORE), scanned=10, received=0, elapsed_ms=5)


def test_a_job_that_ended_is_in_the_book_with_all_that_it_used(story: Story, any_ledger: LedgerStore) -> None:
    story.submit(plan_across("users", "core"))
    report(story, USERS, story.leased(USERS), scanned=1000, received=0, elapsed_ms=30)
    assert metered(story, any_ledger) == 0
    report(story, CORE, story.leased(CORE), scanned=20, received=500, elapsed_ms=12)
    assert metered(story, any_ledger) == 1
    (event,) = events(any_ledger)
    assert figures(event) == ("job:job_1", "complete", 1020, 500, 42)
    assert (event.kind, event.account_id, event.principal, event.tenant) == ("job", "internal:ana", "ana", "default")
    assert (event.product, event.subscription_id, event.units, event.calls) == (None, None, 0, 0)
    assert event.reserved_at == story.desk.read_now(lambda session: session.get_one(JobRow, "job_1").submitted_at)


def test_a_second_look_writes_nothing_more(story: Story, any_ledger: LedgerStore) -> None:
    ran(story, "job_1")
    assert [metered(story, any_ledger) for _ in range(3)] == [1, 0, 0]
    assert len(events(any_ledger)) == 1


def test_a_kill_between_the_book_and_the_mark_leaves_the_job_in_the_book_once(
    story: Story, any_ledger: LedgerStore
) -> None:
    for job in ("job_1", "job_2"):
        ran(story, job)
    with pytest.raises(Killed):
        asyncio.run(MeterThatIsKilled(story.desk, any_ledger).meter())
    story.reopen()
    ran(story, "job_3")
    assert metered(story, any_ledger) == 3
    assert [event.request_id for event in events(any_ledger)] == ["job:job_1", "job:job_2", "job:job_3"]
    with any_ledger.reading() as connection:
        assert connection.scalar(select(BookRow.seq)) == 3


def test_two_meters_at_once_write_a_job_once(story: Story, any_ledger: LedgerStore) -> None:
    """As when a control plane that was thought dead goes on beside the new one."""
    for number in range(5):
        ran(story, f"job_{number}")

    async def both() -> list[int]:
        meters = [JobMeter(story.desk, any_ledger) for _ in range(4)]
        return await asyncio.gather(*(meter.meter() for meter in meters))

    assert max(asyncio.run(both())) == 5
    assert sorted(event.request_id for event in events(any_ledger)) == [f"job:job_{number}" for number in range(5)]


def test_a_job_that_ends_twice_is_in_the_book_once(story: Story, any_ledger: LedgerStore) -> None:
    story.submit(plan_at("core"))
    lease = story.leased(CORE)
    report(story, CORE, lease, scanned=10, received=0, elapsed_ms=5)
    assert metered(story, any_ledger) == 1
    report(story, CORE, lease, scanned=99, received=9, elapsed_ms=99)
    assert metered(story, any_ledger) == 0
    assert [figures(event) for event in events(any_ledger)] == [("job:job_1", "complete", 10, 0, 5)]


def test_a_failed_job_is_in_the_book_with_what_its_attempts_used(story: Story, any_ledger: LedgerStore) -> None:
    story.submit(plan_across("users", "core"))
    report(story, USERS, story.leased(USERS), scanned=1000, received=0, elapsed_ms=30)
    fail(story, CORE, story.leased(CORE), received=400, elapsed_ms=7)
    assert story.state() == "failed"
    assert metered(story, any_ledger) == 1
    assert [figures(event) for event in events(any_ledger)] == [("job:job_1", "aborted", 1000, 400, 37)]


def test_a_cancelled_job_is_in_the_book_with_the_time_until_it_was_stopped(
    story: Story, any_ledger: LedgerStore
) -> None:
    story.submit(plan_at("core"))
    story.leased(CORE)
    story.write(lambda change: change.apply(change.session.get_one(JobRow, "job_1"), CancelAsked()))
    assert metered(story, any_ledger) == 0
    story.sweep(after_s=10.5)
    assert (story.state(), metered(story, any_ledger)) == ("cancelled", 1)
    assert [figures(event) for event in events(any_ledger)] == [("job:job_1", "aborted", 0, 0, 10_500)]


def test_a_job_that_never_ran_used_nothing_and_is_in_the_book(story: Story, any_ledger: LedgerStore) -> None:
    story.submit(plan_at("core"))
    story.write(lambda change: change.apply(change.session.get_one(JobRow, "job_1"), CancelAsked()))
    story.sweep(after_s=60)
    assert metered(story, any_ledger) == 1
    assert [figures(event) for event in events(any_ledger)] == [("job:job_1", "aborted", 0, 0, 0)]


def test_a_lost_attempt_counts_beside_the_one_that_took_over(story: Story, any_ledger: LedgerStore) -> None:
    story.submit(plan_at("core"))
    story.leased(CORE)
    story.sweep(after_s=20)
    assert story.outcomes() == ["lost"]
    story.sweep(after_s=5)
    report(story, CORE, story.leased(CORE), scanned=10, received=0, elapsed_ms=5)
    assert metered(story, any_ledger) == 1
    assert [figures(event) for event in events(any_ledger)] == [("job:job_1", "complete", 10, 0, 20_005)]


def test_the_workers_of_a_function_count_each(story: Story, any_ledger: LedgerStore) -> None:
    plan = plan_at("core")
    code = PythonCode(name="f", pickle="", digest="", source="", environment=PythonEnvironment(python="3.11"))
    python = PythonWork(code=code, given=[], workers=3, memory_bytes=2**30)
    step = plan.steps[0].model_copy(update={"kind": "python", "python": python})
    ran(story, "job_1", plan.model_copy(update={"steps": [step]}))
    assert metered(story, any_ledger) == 1
    assert [event.worker_ms for event in events(any_ledger)] == [15]


def test_more_jobs_than_fit_into_one_transaction_are_all_written(story: Story, any_ledger: LedgerStore) -> None:
    def store(number: int) -> None:
        story.submit(plan_at("core"), f"job_{number:03}")
        job = f"job_{number:03}"
        story.write(lambda change: change.apply(change.session.get_one(JobRow, job), CancelAsked()))

    for number in range(130):
        store(number)
    story.sweep(after_s=60)
    assert [metered(story, any_ledger) for _ in range(3)] == [100, 30, 0]
    assert len({event.request_id for event in events(any_ledger)}) == 130
