"""The life of jobs and steps."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datacanal.domain.errors import AttemptLost, ConversionFailed, DatacanalError, OutputLost, StaleFence
from datacanal.domain.job import (
    ENDED_JOBS,
    MOVES,
    CancelAsked,
    Drop,
    GaveUp,
    GraceOver,
    Job,
    JobChanged,
    JobEvent,
    JobState,
    Planned,
    PlanningStarted,
    StepMoved,
    advance,
)
from datacanal.domain.step import (
    ENDED_STEPS,
    MAX_ATTEMPTS,
    AttemptFailed,
    Finished,
    Leased,
    LeaseLost,
    Started,
    Step,
    StepState,
)
from datacanal.domain.step import MOVES as STEP_MOVES

SCAN = Step("s1", "users")
QUERY = Step("q", "core", needs=("s1",))


def after(job: Job, *events: JobEvent) -> Job:
    for event in events:
        job, _ = advance(job, event)
    return job


def running() -> Job:
    return after(Job("j"), PlanningStarted(), Planned((SCAN, QUERY), "q"))


def leased(step: str, session: str = "ses_a") -> StepMoved:
    return StepMoved(step, Leased(session))


def finished(step: str, fence: int = 1) -> StepMoved:
    return StepMoved(step, Finished(fence))


def failed(step: str, error: DatacanalError, fence: int = 1) -> StepMoved:
    return StepMoved(step, AttemptFailed(fence, error))


def test_a_job_runs_its_steps_in_the_order_of_their_inputs_and_succeeds() -> None:
    job = running()
    assert [step.state for step in job.steps.values()] == [StepState.READY, StepState.WAITING]
    job = after(job, leased("s1"), StepMoved("s1", Started(1)), finished("s1"))
    assert job.steps["q"].state == StepState.READY
    assert after(job, leased("q"), finished("q")).state == JobState.SUCCEEDED


def test_a_succeeded_job_drops_what_other_sites_keep_but_not_its_result() -> None:
    job = after(running(), leased("s1"), finished("s1"), leased("q"))
    _, effects = advance(job, finished("q"))
    assert [effect for effect in effects if isinstance(effect, Drop)] == [Drop("users")]


def test_wrong_input_is_never_tried_again() -> None:
    job = after(running(), leased("s1"), failed("s1", ConversionFailed()))
    assert job.state == JobState.FAILED
    assert job.error is not None
    assert job.error.code == "conversion_failed"
    assert job.steps["q"].state == StepState.CANCELLED


def test_a_lost_attempt_is_tried_again_until_three_were_made() -> None:
    job = running()
    for attempt in range(1, MAX_ATTEMPTS + 1):
        job = after(job, leased("s1"))
        assert job.steps["s1"].attempt == attempt
        job = after(job, StepMoved("s1", LeaseLost("silence")))
    assert job.state == JobState.FAILED
    assert job.error is not None
    assert job.error.code == "attempt_lost"


def test_a_report_of_an_attempt_that_was_taken_over_is_refused() -> None:
    job = after(running(), leased("s1"), StepMoved("s1", LeaseLost("silence")), leased("s1", "ses_b"))
    with pytest.raises(StaleFence):
        advance(job, finished("s1", fence=1))


def test_a_report_is_stale_from_the_moment_its_lease_is_lost() -> None:
    job = after(running(), leased("s1"), StepMoved("s1", LeaseLost("silence")))
    with pytest.raises(StaleFence):
        advance(job, finished("s1", fence=1))


def test_a_finish_that_comes_twice_changes_nothing() -> None:
    job = after(running(), leased("s1"), finished("s1"))
    assert advance(job, finished("s1")) == (job, [])


def test_the_finish_that_ended_the_job_may_come_twice() -> None:
    job = after(running(), leased("s1"), finished("s1"), leased("q"), finished("q"))
    assert advance(job, finished("q")) == (job, [])


def test_a_lost_output_is_made_again_before_its_consumer_runs_again() -> None:
    job = after(running(), leased("s1"), finished("s1"), leased("q"))
    job = after(job, failed("q", OutputLost(step="s1", site="users")))
    assert job.steps["s1"].state == StepState.READY
    assert job.steps["q"].state == StepState.WAITING
    job = after(job, leased("s1"), finished("s1", fence=2), leased("q"), finished("q", fence=2))
    assert job.state == JobState.SUCCEEDED


def test_a_lost_output_of_a_step_that_used_up_its_attempts_fails_the_job() -> None:
    lost = LeaseLost("silence")
    job = after(running(), leased("s1"), StepMoved("s1", lost), leased("s1"), StepMoved("s1", lost), leased("s1"))
    fence = job.steps["s1"].fence
    job = after(job, finished("s1", fence), leased("q"), failed("q", OutputLost(step="s1", site="users")))
    assert job.state == JobState.FAILED


def test_a_contradicting_second_report_does_not_undo_a_finished_step() -> None:
    job = after(running(), leased("s1"), finished("s1"))
    assert after(job, failed("s1", ConversionFailed())) == job


def test_cancelling_a_queued_job_ends_it_at_once() -> None:
    assert after(Job("j"), CancelAsked()).state == JobState.CANCELLED


def test_cancelling_a_running_job_waits_for_the_agent_that_holds_a_step() -> None:
    job = after(running(), leased("s1"), CancelAsked())
    assert (job.state, job.cancel_requested) == (JobState.RUNNING, True)
    assert job.steps["q"].state == StepState.CANCELLED
    job = after(job, failed("s1", AttemptLost(reason="killed")))
    assert job.state == JobState.CANCELLED


def test_a_cancelled_job_ends_when_the_grace_is_over_even_if_its_agent_is_silent() -> None:
    assert after(running(), leased("s1"), CancelAsked(), GraceOver()).state == JobState.CANCELLED


def test_a_plan_that_comes_after_the_cancel_changes_nothing() -> None:
    job = after(Job("j"), PlanningStarted(), CancelAsked())
    assert after(job, Planned((SCAN,), "s1")) == job


def test_no_table_lets_a_terminal_state_move() -> None:
    assert not [state for state, _ in MOVES if state in ENDED_JOBS]
    movable = {state for state, _ in STEP_MOVES if state in ENDED_STEPS}
    assert movable == {StepState.DONE}  # only while its job runs: see test_nothing_moves_once_the_job_has_ended


events = st.one_of(
    st.just(PlanningStarted()),
    st.just(Planned((SCAN, QUERY), "q")),
    st.just(CancelAsked()),
    st.just(GraceOver()),
    st.just(GaveUp(AttemptLost(reason="time"))),
    st.builds(
        StepMoved,
        st.sampled_from(["s1", "q"]),
        st.one_of(
            st.just(Leased("ses_a")),
            st.builds(Started, st.integers(0, 9)),
            st.builds(Finished, st.integers(0, 9)),
            st.builds(
                AttemptFailed,
                st.integers(0, 9),
                st.sampled_from([ConversionFailed(), AttemptLost(reason="x"), OutputLost(step="s1", site="users")]),
            ),
            st.just(LeaseLost("silence")),
        ),
    ),
)


@given(st.lists(events, max_size=40))
def test_whatever_happens_the_rules_hold(story: list[JobEvent]) -> None:
    job = Job("j")
    for event in story:
        if isinstance(event, StepMoved) and event.step not in job.steps:
            continue
        try:
            moved, effects = advance(job, event)
        except StaleFence:
            continue
        if job.state in ENDED_JOBS:
            assert (moved, effects) == (job, [])
        for before, step in ((job.steps.get(step.id), step) for step in moved.steps.values()):
            assert step.attempt <= MAX_ATTEMPTS
            assert before is None or step.fence >= before.fence
            assert before is None or step.attempt >= before.attempt
        if moved.state in ENDED_JOBS:
            assert all(step.state in ENDED_STEPS for step in moved.steps.values())
            assert job.state in ENDED_JOBS or JobChanged(moved.state) in effects
        job = moved


def test_an_ended_job_keeps_no_step_alive() -> None:
    job = after(running(), leased("s1"), GaveUp(AttemptLost(reason="time")))
    assert {step.state for step in job.steps.values()} == {StepState.CANCELLED}
    with pytest.raises(StaleFence):
        advance(job, finished("s1"))


def test_the_order_of_steps_stays_that_of_the_plan() -> None:
    job = after(running(), leased("s1"), finished("s1"))
    assert list(job.steps) == ["s1", "q"]
    assert replace(job, steps={}) != job
