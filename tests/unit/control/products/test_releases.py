"""The release train: canary, stable, rollback, retirement, and what holds a version."""

from __future__ import annotations

import pytest
from sqlalchemy import select
from tests.unit.control.products.house import BARS, CANARY, OTHER, PUB, STABLE, STRANGER, House

from datacanal.domain.errors import BadField, DatacanalError, Forbidden, NotFound, WrongState
from datacanal.domain.product_errors import ContractHeld, NoVersion, ProductRetired, SnapshotGone, VersionNotFound
from datacanal.protocol.products import PromoteRequest, PublishRequest, RetireRequest, RollbackRequest
from datacanal.state.product_models import ChannelRow
from datacanal.testing.product_fakes import held


def test_the_canary_becomes_stable_and_the_version_before_is_superseded(house: House) -> None:
    async def scene(at: House) -> None:
        await at.create()
        await at.release("job_1")
        await at.publish("job_2")
        await at.promote(CANARY)
        assert await at.channels() == {"stable": "1.0", "canary": "1.1"}
        await at.promote()
        assert await at.channels() == {"stable": "1.1"}
        assert await at.states() == {"1.1": "stable", "1.0": "superseded"}

    house.play(scene)


def test_another_canary_sends_the_first_one_back(house: House) -> None:
    async def scene(at: House) -> None:
        await at.create()
        for job in ("job_1", "job_2"):
            await at.publish(job)
            await at.promote(CANARY)
        assert await at.states() == {"1.1": "canary", "1.0": "staged"}
        wider = CANARY.model_copy(update={"share": 0.5, "labels": ["quants"]})
        await at.promote(wider)
        [canary] = (await at.catalogue.show(PUB, BARS.name)).channels
        assert (canary.version, canary.share, canary.labels) == ("1.1", 0.5, ["quants"])

    house.play(scene)


def test_a_rollback_gives_readers_the_version_before_and_another_the_one_before_that(house: House) -> None:
    async def scene(at: House) -> None:
        await at.create()
        for job in ("job_1", "job_2", "job_3"):
            await at.release(job)
        assert (await at.rollback()).version == "1.1"
        assert (await at.rollback()).version == "1.0"
        assert await at.channels() == {"stable": "1.0"}
        with pytest.raises(NoVersion):
            await at.rollback()
        assert (await at.rollback("1.2")).state == "stable"

    house.play(scene)


def test_a_rollback_ends_the_canary_that_it_goes_back_to_and_no_other(house: House) -> None:
    async def scene(at: House) -> None:
        await at.create()
        await at.release("job_1")
        await at.release("job_2")
        await at.promote(CANARY.model_copy(update={"version": "1.0"}))
        await at.rollback("1.0")
        assert await at.channels() == {"stable": "1.0"}
        await at.publish("job_3")
        await at.promote(CANARY)
        await at.rollback("1.1")
        assert await at.channels() == {"stable": "1.1", "canary": "1.2"}

    house.play(scene)


def test_only_what_was_stable_before_is_rolled_back_to(house: House) -> None:
    async def scene(at: House) -> None:
        await at.create()
        with pytest.raises(NoVersion):
            await at.rollback()
        await at.release("job_1")
        await at.publish("job_2")
        for version, error in (("1.1", WrongState), ("1.0", WrongState), ("7.0", VersionNotFound)):
            with pytest.raises(error):
                await at.rollback(version)

    house.play(scene)


def test_a_changed_answer_holds_the_version_until_its_publisher_says_why(house: House) -> None:
    house.queries = ["sec_id=1"]
    house.workshop.answers = held("replay", acceptable=True)

    async def scene(at: House) -> None:
        await at.create()
        await at.release_first()
        with pytest.raises(ContractHeld) as refusal:
            await at.promote(PromoteRequest(version="1.1"))
        assert refusal.value.data["checks"] == "replay"
        assert "--accept replay --reason TEXT" in refusal.value.remedy
        assert (await at.states())["1.1"] == "held"
        with pytest.raises(ContractHeld):
            await at.promote()
        view = await at.promote(PromoteRequest(accept=["replay"], reason="the source was wrong"))
        assert (view.version, view.state, view.reason) == ("1.1", "stable", "the source was wrong")

    house.play(scene)


def test_the_canary_that_a_replay_holds_is_taken_from_its_readers(house: House) -> None:
    async def scene(at: House) -> None:
        await at.create()
        await at.release("job_1")
        await at.publish("job_2")
        await at.promote(CANARY)
        at.queries, at.workshop.answers = ["sec_id=1"], held("replay", acceptable=True)
        with pytest.raises(ContractHeld):
            await at.promote()
        assert await at.channels() == {"stable": "1.0"}
        assert (await at.states())["1.1"] == "held"

    house.play(scene)


def test_what_nobody_may_accept_holds_whatever_the_publisher_says(house: House) -> None:
    async def scene(at: House) -> None:
        await at.create()
        at.workshop.checks = [held("key", acceptable=False), held("drift", acceptable=True)]
        assert (await at.publish("job_1")).state == "held"
        for to in ("stable", "canary"):
            share = 0.5 if to == "canary" else 0.0
            asked = {"to": to, "share": share, "accept": ["key", "drift"], "reason": "please"}
            with pytest.raises(ContractHeld) as refusal:
                await at.promote(PromoteRequest.model_validate(asked))
            assert refusal.value.data["checks"] == "key"
        assert await at.channels() == {}

    house.play(scene)


def test_where_all_are_held_promotion_says_what_holds_the_newest(house: House) -> None:
    async def scene(at: House) -> None:
        await at.create()
        at.workshop.checks = [held("drift", acceptable=True)]
        await at.publish("job_1")
        with pytest.raises(ContractHeld) as refusal:
            await at.promote(STABLE)
        assert "--accept drift" in refusal.value.remedy

    house.play(scene)


def test_an_accepted_check_keeps_its_reason(house: House) -> None:
    async def scene(at: House) -> None:
        await at.create()
        at.workshop.checks = [held("drift", acceptable=True)]
        await at.publish("job_1")
        with pytest.raises(ContractHeld):
            await at.promote(PromoteRequest(version="1.0"))
        view = await at.promote(PromoteRequest(accept=["drift"], reason="half the exchanges closed"))
        assert (view.state, view.reason) == ("stable", "half the exchanges closed")

    house.play(scene)


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (PromoteRequest(accept=["drift"]), "reason"),
        (PromoteRequest(share=0.5), "to"),
        (PromoteRequest(labels=["g"]), "to"),
        (PromoteRequest(to="canary"), "share"),
    ],
)
def test_a_promotion_that_makes_no_sense_names_its_field(house: House, request_: PromoteRequest, field: str) -> None:
    async def scene(at: House) -> None:
        await at.create()
        with pytest.raises(BadField) as refusal:
            await at.promote(request_)
        assert refusal.value.data["field"] == field

    house.play(scene)


def test_restated_sessions_are_announced_and_a_rollback_restates_them_back(house: House) -> None:
    house.workshop.restated = ["2030-01-02", "2030-01-03"]

    async def scene(at: House) -> None:
        await at.create()
        await at.release("job_1")
        await at.release("job_2")
        await at.rollback()
        there, back = (await at.version("1.0")).restatements
        assert (there.old_version, there.new_version, there.sessions) == ("1.0", "1.1", ["2030-01-02", "2030-01-03"])
        assert (back.old_version, back.new_version, back.rows) == ("1.1", "1.0", 2)
        assert back.reason == "rolled back from 1.1: it was wrong"

    house.play(scene)


def test_every_change_of_a_channel_keeps_who_made_it_and_grows_the_revision(house: House) -> None:
    async def scene(at: House) -> None:
        seen = [await at.revision()]
        await at.create()
        seen.append(await at.revision())
        await at.release("job_1")
        seen.append(await at.revision())
        await at.release("job_2")
        seen.append(await at.revision())
        await at.rollback()
        seen.append(await at.revision())
        await at.retire("1.1")
        seen.append(await at.revision())
        assert seen == sorted(set(seen))
        rows = await at.desk.read(lambda session: session.scalars(select(ChannelRow).order_by(ChannelRow.id)).all())
        assert [(row.principal, row.reason) for row in rows] == [("pub", None), ("pub", None), ("pub", "it was wrong")]
        assert all(row.at == at.clock.now() for row in rows)

    house.play(scene)


def test_versions_beyond_those_that_are_kept_are_retired_and_their_folders_go_later(house: House) -> None:
    async def scene(at: House) -> None:
        await at.create(BARS.model_copy(update={"keep": 2}))
        views = [await at.release(f"job_{number}") for number in range(4)]
        assert await at.states() == {"1.3": "stable", "1.2": "superseded", "1.1": "superseded", "1.0": "retired"}
        await at.shelves.clear()
        assert at.folder(views[0]).is_dir()
        at.clock.advance(61)
        await at.shelves.clear()
        assert [at.folder(view).is_dir() for view in views] == [False, True, True, True]
        with pytest.raises(SnapshotGone):
            await at.book.diff(PUB, BARS.name, "1.0", "1.1")
        with pytest.raises(WrongState):
            await at.rollback("1.0")

    house.play(scene)


def test_clearing_takes_leftovers_of_builders_and_nothing_that_it_does_not_know(house: House) -> None:
    async def scene(at: House) -> None:
        await at.create()
        view = await at.release("job_1")
        at.owners.away = {"core"}
        draft = await at.publish("job_2")
        left, building = (at.folder(each).with_name(f"{each.snapshot}.tmp") for each in (view, draft))
        unknown = at.folder(view).with_name("snp_unknown")
        for folder in (left, building, unknown):
            folder.mkdir()
        at.clock.advance(3600)
        await at.shelves.clear()
        assert [folder.exists() for folder in (left, building, unknown, at.folder(view))] == [False, True, True, True]

    house.play(scene)


def test_a_version_that_readers_have_is_not_retired(house: House) -> None:
    async def scene(at: House) -> None:
        await at.create()
        await at.release("job_1")
        await at.publish("job_2")
        await at.promote(CANARY)
        for version in ("1.0", "1.1"):
            with pytest.raises(WrongState):
                await at.retire(version)

    house.play(scene)


def test_a_retired_product_takes_no_more_versions(house: House) -> None:
    async def scene(at: House) -> None:
        await at.create()
        at.owners.away = {"core"}
        await at.publish("job_1")
        assert (await at.retire()).retired_at == at.clock.now()
        at.owners.away = set()
        await at.publisher.carry_on()
        failed = await at.version("1.0")
        assert failed.problem is not None
        assert failed.problem.code == "product_retired"
        for change in (
            at.book.publish(PUB, BARS.name, PublishRequest(job="job_1")),
            at.promote(),
            at.rollback(),
        ):
            with pytest.raises(ProductRetired):
                await change

    house.play(scene)


def test_nobody_else_releases(house: House) -> None:
    async def scene(at: House) -> None:
        await at.create(BARS.model_copy(update={"visibility": "internal"}))
        await at.release("job_1")
        refused: list[tuple[type[DatacanalError], object]] = [(Forbidden, OTHER), (NotFound, STRANGER)]
        for error, other in refused:
            for act in (
                at.train.promote(other, BARS.name, STABLE),  # type: ignore[arg-type]  # a principal
                at.train.rollback(other, BARS.name, RollbackRequest()),  # type: ignore[arg-type]  # a principal
                at.train.retire(other, BARS.name, RetireRequest()),  # type: ignore[arg-type]  # a principal
            ):
                with pytest.raises(error):
                    await act

    house.play(scene)
