"""A draft's way: consent, result, snapshot, checks; and what stops it."""

from __future__ import annotations

import pytest
from tests.unit.control.products.house import ADMIN, BARS, OTHER, PUB, STRANGER, House

from datacanal.control.changes import Change
from datacanal.control.products.publishing import AWAY_WITHIN_S
from datacanal.domain.errors import (
    BadField,
    DatacanalError,
    Forbidden,
    NotFound,
    OutputLost,
    ResultExpired,
    ServiceBusy,
    WrongState,
)
from datacanal.protocol.products import PublishRequest
from datacanal.state.models import JobRow
from datacanal.testing.product_fakes import held


def test_a_published_job_becomes_a_staged_version_with_its_lineage_and_consents(house: House) -> None:
    async def scene(at: House) -> None:
        await at.create()
        view = await at.publish("job_1")
        assert (view.version, view.state, view.rows) == ("1.0", "staged", 1)
        assert view.lineage.job == "job_1"
        assert [(given.site, given.lake, given.snapshot) for given in view.lineage.inputs] == [
            ("core", "bank", "snap_bank"),
            ("users", "shop", "snap_shop"),
        ]
        assert {(each.site, each.decision) for each in view.consents} == {("core", "granted"), ("users", "granted")}
        assert (at.folder(view) / "manifest.json").is_file()

    house.play(scene)


def test_the_same_job_twice_is_the_same_version(house: House) -> None:
    async def scene(at: House) -> None:
        await at.create()
        first = await at.publish("job_1")
        again, is_new = await at.book.publish(PUB, BARS.name, PublishRequest(job="job_1"))
        assert (again.snapshot, is_new) == (first.snapshot, False)

    house.play(scene)


def test_minor_numbers_grow_by_one_and_a_major_begins_anew(house: House) -> None:
    async def scene(at: House) -> None:
        await at.create()
        found = [
            (await at.publish("job_1")).version,
            (await at.publish("job_2")).version,
            (await at.publish("job_3", major=True)).version,
            (await at.publish("job_4")).version,
        ]
        assert found == ["1.0", "1.1", "2.0", "2.1"]

    house.play(scene)


def test_a_version_that_is_asked_to_be_promoted_is_stable_when_its_checks_pass(house: House) -> None:
    async def scene(at: House) -> None:
        await at.create()
        assert (await at.publish("job_1", promote=True)).state == "stable"
        at.workshop.checks.append(held("drift", acceptable=True))
        assert (await at.publish("job_2", promote=True)).state == "held"
        assert await at.channels() == {"stable": "1.0"}

    house.play(scene)


def test_an_owner_who_refuses_ends_the_draft_and_nothing_is_fetched(house: House) -> None:
    house.owners.said = {"shop.bars": "refused", "bank.bars": "waiting"}

    async def scene(at: House) -> None:
        await at.create()
        view = await at.publish("job_1")
        assert view.state == "failed"
        assert view.problem is not None
        assert view.problem.code == "publish_refused"
        assert "shop.bars at site users" in view.problem.detail
        assert at.results.fetched == []
        assert {each.decision for each in view.consents} == {"refused", "waiting"}

    house.play(scene)


def test_a_draft_that_waits_for_a_steward_fails_and_publishing_again_is_a_new_version(house: House) -> None:
    house.owners.said = {"bank.bars": "waiting"}

    async def scene(at: House) -> None:
        await at.create()
        view = await at.publish("job_1")
        assert view.problem is not None
        assert (view.state, view.problem.code) == ("failed", "publish_approval_needed")
        at.owners.said = {}
        again, is_new = await at.book.publish(PUB, BARS.name, PublishRequest(job="job_1"))
        assert is_new
        await at.publisher.carry_on()
        assert await at.states() == {"1.0": "failed", again.version: "staged"}

    house.play(scene)


def test_a_site_that_is_away_is_waited_for_and_then_named(house: House) -> None:
    house.owners.away = {"users"}

    async def scene(at: House) -> None:
        await at.create()
        view = await at.publish("job_1")
        assert (view.state, view.progress) == ("draft", "waiting for site users")
        at.clock.advance(AWAY_WITHIN_S)
        await at.publisher.carry_on()
        failed = await at.version("1.0")
        assert failed.problem is not None
        assert (failed.state, failed.problem.code) == ("failed", "site_unreachable")

    house.play(scene)


def test_a_site_that_comes_back_in_time_lets_the_draft_go_on(house: House) -> None:
    house.owners.away = {"users"}
    house.results.fails = [ServiceBusy(reason="it broke off")]

    async def scene(at: House) -> None:
        await at.create()
        assert (await at.publish("job_1")).state == "draft"
        at.owners.away = set()
        assert await at.publisher.carry_on()
        assert not await at.publisher.carry_on()
        assert (await at.version("1.0")).state == "staged"

    house.play(scene)


def test_owners_are_asked_once_however_often_a_busy_site_is_tried(house: House) -> None:
    house.results.fails = [ServiceBusy(reason="it still exports") for _ in range(3)]

    async def scene(at: House) -> None:
        await at.create()
        await at.publish("job_1")
        while await at.publisher.carry_on():
            pass
        assert (await at.version("1.0")).state == "staged"
        assert sorted(at.owners.asked) == [("1.0", "core"), ("1.0", "users")]

    house.play(scene)


def test_a_result_that_its_site_lost_is_not_waited_for(house: House) -> None:
    house.results.fails = [OutputLost(step="result", site="core")]

    async def scene(at: House) -> None:
        await at.create()
        view = await at.publish("job_1")
        assert view.problem is not None
        assert (view.state, view.problem.code) == ("failed", "output_lost")

    house.play(scene)


def test_a_draft_begins_again_after_a_restart_and_is_staged_once_under_its_id(house: House) -> None:
    found: list[str] = []

    async def killed(at: House) -> None:
        await at.create()
        at.owners.away = {"core"}
        found.append((await at.publish("job_1")).snapshot)

    async def restarted(at: House) -> None:
        at.owners.away = set()
        await at.publisher.carry_on()
        await at.publisher.carry_on()
        view = await at.version("1.0")
        assert (view.state, view.snapshot) == ("staged", found[0])
        assert at.workshop.built == found

    house.play(killed)
    house.play(restarted)


def test_a_failure_that_nobody_foresaw_ends_one_draft_and_not_the_next(house: House) -> None:
    house.workshop.fails = [RuntimeError("a defect")]

    async def scene(at: House) -> None:
        await at.create()
        view = await at.publish("job_1")
        assert view.problem is not None
        assert (view.state, view.problem.code) == ("failed", "build_failed")
        assert (await at.publish("job_2")).state == "staged"

    house.play(scene)


def test_a_promotion_meanwhile_makes_the_draft_be_looked_at_again(house: House) -> None:
    async def scene(at: House) -> None:
        await at.create()
        await at.publish("job_1")
        await at.job("job_2")
        at.owners.away = {"core"}
        await at.book.publish(PUB, BARS.name, PublishRequest(job="job_2", promote=True))
        await at.publisher.carry_on()
        at.owners.away = set()
        check = at.workshop.check

        async def overtaken(order: object) -> object:
            at.workshop.check = check  # type: ignore[method-assign]  # only once
            await at.promote()
            return await check(order)  # type: ignore[arg-type]  # passed on

        at.workshop.check = overtaken  # type: ignore[method-assign, assignment]  # what happens meanwhile
        assert await at.publisher.carry_on()
        assert await at.channels() == {"stable": "1.0"}
        await at.publisher.carry_on()
        assert await at.states() == {"1.1": "stable", "1.0": "superseded"}

    house.play(scene)


@pytest.mark.parametrize(
    ("job", "error"),
    [
        ({"state": "running"}, WrongState),
        ({"state": "failed"}, WrongState),
        ({"owner": "ana"}, NotFound),
        ({"columns": "other"}, BadField),
    ],
)
def test_a_job_that_cannot_be_published_is_refused(
    house: House, job: dict[str, str], error: type[DatacanalError]
) -> None:
    async def scene(at: House) -> None:
        await at.create()
        await at.job("job_1", **job)  # type: ignore[arg-type]  # all of them are texts
        with pytest.raises(error):
            await at.book.publish(PUB, BARS.name, PublishRequest(job="job_1"))
        assert await at.states() == {}

    house.play(scene)


def test_a_result_that_expired_is_not_published(house: House) -> None:
    async def scene(at: House) -> None:
        await at.create()
        await at.job("job_1")

        def expire(change: Change) -> None:
            change.session.get_one(JobRow, "job_1").result_expires_at = at.clock.now()

        await at.desk.write(expire)
        with pytest.raises(ResultExpired):
            await at.book.publish(PUB, BARS.name, PublishRequest(job="job_1"))

    house.play(scene)


def test_only_who_manages_a_product_publishes_or_sees_its_versions(house: House) -> None:
    async def scene(at: House) -> None:
        await at.create(BARS.model_copy(update={"visibility": "listed"}))
        await at.publish("job_1")
        for other, error in ((OTHER, Forbidden), (STRANGER, NotFound)):
            with pytest.raises(error):
                await at.book.publish(other, BARS.name, PublishRequest(job="job_1"))
            with pytest.raises(error):
                await at.book.show(other, BARS.name, "1.0")
            with pytest.raises(error):
                await at.book.diff(other, BARS.name, "1.0", "1.0")
        assert (await at.book.show(ADMIN, BARS.name, "1.0")).state == "staged"

    house.play(scene)
