"""Leases, fences, clocks and intents, on the store itself: no server, no event loop, time as the test moves it."""

from __future__ import annotations

import pytest
from sqlalchemy import select
from tests.unit.control.story import AROUND, CORE, USERS, Story, hello

from datacanal.control.catalogue import remember_hello
from datacanal.control.changes import Change
from datacanal.control.leases import (
    Agent,
    Around,
    free_old_boot,
    start,
)
from datacanal.domain.errors import (
    ConversionFailed,
    NotFound,
    OutputLost,
    SiteUnreachable,
    StaleFence,
)
from datacanal.domain.job import CancelAsked
from datacanal.protocol.site import (
    DropCommand,
)
from datacanal.state.models import EffectRow, JobRow
from datacanal.testing.compiler_fake import plan_across, plan_at


def test_a_lease_carries_the_offer_of_its_input_and_the_consumer_of_its_output(story: Story) -> None:
    story.submit(plan_across("users", "core"))
    scan = story.leased(USERS)
    assert [(item.site, item.public_key) for item in scan.consumers] == [("core", "key-core")]
    assert (scan.inputs, scan.is_result, scan.plan_digest) == ([], False, scan.plan.digest)
    story.done(USERS, scan)
    query = story.leased(CORE)
    assert [offer.ticket for offer in query.inputs] == ["for-key-core"]
    assert query.is_result


def test_a_step_is_leased_once(story: Story) -> None:
    story.submit(plan_at("core"))
    assert story.lease(CORE) is not None
    assert story.lease(CORE) is None


def test_a_step_of_another_site_is_nobodys_business(story: Story) -> None:
    story.submit(plan_at("core"))
    assert story.lease(USERS) is None
    lease = story.leased(CORE)
    with pytest.raises(NotFound):
        story.done(USERS, lease)


def test_a_step_of_another_tenant_is_nobodys_business(story: Story) -> None:
    story.submit(plan_at("core"))
    assert story.lease(Agent("other", "core", "ses_other")) is None


def test_a_scan_waits_until_its_consumer_is_known(story: Story) -> None:
    story.submit(plan_across("users", "core"))
    assert story.lease(USERS, Around(frozenset({"users"}), {"users": hello("users")})) is None


def test_a_step_waits_while_the_site_of_its_input_is_away(story: Story) -> None:
    story.submit(plan_across("users", "core"))
    story.done(USERS, story.leased(USERS))
    assert story.lease(CORE, Around(frozenset({"core"}), AROUND.hellos)) is None
    assert story.lease(CORE) is not None


def test_a_silent_agent_loses_its_lease_and_its_late_report_is_refused(story: Story) -> None:
    story.submit(plan_at("core"))
    lost = story.leased(CORE)
    story.sweep(after_s=11)
    again = story.leased(CORE)
    assert again.fence > lost.fence
    with pytest.raises(StaleFence):
        story.done(CORE, lost)
    story.done(CORE, again)
    assert (story.state(), story.outcomes()) == ("succeeded", ["lost", "done"])


def test_heartbeats_keep_a_lease_however_long_it_takes(story: Story) -> None:
    story.submit(plan_at("core"))
    lease = story.leased(CORE)
    for _ in range(20):
        story.sweep(after_s=3)
        assert story.beat(CORE, lease) == []
    story.done(CORE, lease)
    assert story.state() == "succeeded"


def test_a_shifted_wall_clock_neither_ends_a_lease_nor_a_job(story: Story) -> None:
    story.submit(plan_at("core"))
    lease = story.leased(CORE)
    story.clock.shift_wall(3600 * 10)
    story.sweep()
    assert story.beat(CORE, lease) == []


def test_a_new_boot_of_the_agent_frees_its_steps_at_once(story: Story) -> None:
    story.submit(plan_at("core"))
    old = story.leased(CORE)
    assert story.write(lambda change: free_old_boot(change, "default", hello("core", "boot2"))) is None
    new = Agent("default", "core", "ses_new")
    story.write(lambda change: remember_hello(change, "default", hello("core", "boot2"), "ses_new"))
    assert story.leased(new).fence > old.fence
    assert story.beat(CORE, old) == ["q"]


def test_the_same_boot_keeps_its_session_and_its_steps(story: Story) -> None:
    story.submit(plan_at("core"))
    lease = story.leased(CORE)
    assert story.write(lambda change: free_old_boot(change, "default", hello("core"))) == "ses_core"
    story.done(CORE, lease)
    assert story.state() == "succeeded"


def test_wrong_input_fails_the_job_at_the_first_attempt(story: Story) -> None:
    story.submit(plan_at("core"))
    story.failed(CORE, story.leased(CORE), ConversionFailed())
    assert (story.state(), story.problem(), story.outcomes()) == ("failed", "conversion_failed", ["failed"])


def test_an_unreachable_site_is_tried_again_after_a_pause(story: Story) -> None:
    story.submit(plan_at("core"))
    story.failed(CORE, story.leased(CORE), SiteUnreachable(site="users", reason="cut"))
    assert story.lease(CORE) is None
    story.sweep(after_s=3)
    assert story.lease(CORE) is not None


def test_a_lost_output_is_made_again(story: Story) -> None:
    story.submit(plan_across("users", "core"))
    story.done(USERS, story.leased(USERS))
    story.failed(CORE, story.leased(CORE), OutputLost(step="s1", site="users"))
    assert story.lease(CORE) is None
    story.done(USERS, story.leased(USERS))
    story.sweep(after_s=10)
    story.done(CORE, story.leased(CORE))
    assert story.state() == "succeeded"


def test_a_cancelled_step_is_stopped_and_its_job_ends_after_the_grace(story: Story) -> None:
    story.submit(plan_at("core"))
    lease = story.leased(CORE)
    story.write(lambda change: change.apply(change.session.get_one(JobRow, "job_1"), CancelAsked()))
    assert story.beat(CORE, lease) == ["q"]
    story.sweep(after_s=9)
    assert story.state() == "running"
    story.beat(CORE, lease)
    story.sweep(after_s=2)
    assert (story.state(), story.outcomes()) == ("cancelled", ["cancelled"])


def test_a_job_whose_time_is_up_fails_and_its_agent_is_told_to_stop(story: Story) -> None:
    story.submit(plan_at("core"))
    lease = story.leased(CORE)
    story.clock.advance(3601)
    assert story.beat(CORE, lease) == []
    story.sweep()
    assert (story.state(), story.problem()) == ("failed", "timeout")
    assert story.beat(CORE, lease) == ["q"]


def test_a_job_that_only_waited_for_an_absent_site_says_so_when_its_time_is_up(story: Story) -> None:
    story.submit(plan_at("core"))
    story.sweep(after_s=3601, away="core")
    assert (story.state(), story.problem()) == ("failed", "site_unreachable")


def test_a_site_drops_what_it_kept_for_a_job_and_is_told_again_until_it_polls_once_more(story: Story) -> None:
    story.submit(plan_across("users", "core"))
    story.done(USERS, story.leased(USERS))
    story.done(CORE, story.leased(CORE))
    assert story.drops(USERS) == [DropCommand(job="job_1")]
    assert story.drops(Agent("default", "users", "ses_other")) == [DropCommand(job="job_1")]
    assert story.drops(Agent("default", "users", "ses_other")) == []
    assert story.drops(CORE) == []


def test_an_expired_result_is_dropped_once(story: Story) -> None:
    story.submit(plan_at("core"))
    story.done(CORE, story.leased(CORE))
    story.sweep(after_s=86401)
    story.sweep(after_s=1)
    assert story.drops(CORE) == [DropCommand(job="job_1")]
    assert story.events().count("result_expired") == 1


def test_a_finish_that_comes_twice_is_recorded_once(story: Story) -> None:
    story.submit(plan_at("core"))
    lease = story.leased(CORE)
    story.done(CORE, lease)
    before = story.events()
    story.done(CORE, lease)
    assert story.events() == before


def test_progress_is_an_event_only_when_it_moves(story: Story) -> None:
    story.submit(plan_at("core"))
    lease = story.leased(CORE)
    story.write(lambda change: start(change, CORE, lease.job, lease.step, lease.fence))
    for fraction in (0.1, 0.1, 0.4):
        story.beat(CORE, lease, fraction)
    assert story.events().count("step_progress") == 2


@pytest.mark.parametrize("killed_after", range(6))
def test_a_control_plane_killed_after_any_step_goes_on_where_it_was(story: Story, killed_after: int) -> None:
    def restart_at(place: int) -> None:
        if place == killed_after:
            story.reopen()

    story.submit(plan_across("users", "core"))
    restart_at(0)
    scan = story.leased(USERS)
    restart_at(1)
    story.write(lambda change: start(change, USERS, scan.job, scan.step, scan.fence))
    restart_at(2)
    story.done(USERS, scan)
    restart_at(3)
    query = story.leased(CORE)
    restart_at(4)
    story.done(CORE, query)
    restart_at(5)
    assert (story.state(), story.outcomes()) == ("succeeded", ["done", "done"])
    assert story.drops(USERS) == [DropCommand(job="job_1")]


def test_leases_get_a_fresh_duration_after_a_restart(story: Story) -> None:
    story.submit(plan_at("core"))
    lease = story.leased(CORE)
    story.clock.advance(60)
    story.reopen()
    story.sweep(after_s=9)
    assert story.beat(CORE, lease) == []


def test_deadlines_survive_a_reboot_of_the_machine(story: Story) -> None:
    story.submit(plan_at("core"))
    story.clock.reboot(down_s=60)
    story.reopen()
    story.sweep(after_s=3500)
    assert story.state() == "running"
    story.sweep(after_s=100)
    assert story.state() == "failed"


def test_a_change_that_raises_leaves_nothing_behind(story: Story) -> None:
    story.submit(plan_at("core"))
    before = story.events()

    def break_off(change: Change) -> None:
        change.apply(change.session.get_one(JobRow, "job_1"), CancelAsked())
        raise RuntimeError

    with pytest.raises(RuntimeError):
        story.write(break_off)
    assert (story.state(), story.events()) == ("running", before)
    assert story.desk.read_now(lambda session: session.scalars(select(EffectRow)).all()) == []
