"""Versions that schedules publish are those that publishers make by hand."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tests.unit.control.products.house import BARS, OTHER, PUB, House

from datacanal.control.schedules.versions import ScheduledVersions
from datacanal.domain.errors import NotFound
from datacanal.protocol.problem import Problem
from datacanal.testing.product_fakes import FakeWorkshop, held


@pytest.fixture
def house(tmp_path: Path, any_database: str) -> House:
    return House(tmp_path, database=any_database)


async def outcome(at: House, job: str, *, promote: bool = True) -> Problem | None:
    """What becomes of the version of that job, waited for from before anything of it was made."""
    await at.job(job)
    scheduled = ScheduledVersions(at.desk, at.book)
    snapshot = await scheduled.publish(PUB, BARS.name, job, promote=promote, schedule="daily")
    assert await scheduled.publish(PUB, BARS.name, job, promote=promote, schedule="daily") == snapshot
    waiting = asyncio.create_task(scheduled.outcome(snapshot))
    await at.publisher.carry_on()
    return await waiting


@pytest.mark.parametrize(("promote", "state"), [(True, "stable"), (False, "staged")])
def test_a_version_is_staged_or_promoted_and_names_its_schedule(house: House, promote: bool, state: str) -> None:
    async def scene(at: House) -> None:
        await at.create()
        assert await outcome(at, "job_1", promote=promote) is None
        view = await at.version("1.0")
        assert (view.state, view.lineage.schedule) == (state, "daily")

    house.play(scene)


def test_a_held_version_is_a_problem_that_names_its_checks(house: House) -> None:
    house.workshop = FakeWorkshop(checks=[held("drift", acceptable=True)])

    async def scene(at: House) -> None:
        await at.create()
        problem = await outcome(at, "job_1")
        assert problem is not None
        assert problem.code == "contract_held"
        assert "drift" in problem.detail
        assert "--accept drift" in problem.remedy

    house.play(scene)


def test_an_owner_who_does_not_agree_is_the_problem(house: House) -> None:
    house.owners.said["bank.bars"] = "refused"

    async def scene(at: House) -> None:
        await at.create()
        problem = await outcome(at, "job_1")
        assert problem is not None
        assert problem.code == "publish_refused"

    house.play(scene)


def test_only_who_manages_the_product_publishes(house: House) -> None:
    async def scene(at: House) -> None:
        await at.create()
        await at.job("job_1", owner="other")
        with pytest.raises(NotFound):
            await ScheduledVersions(at.desk, at.book).publish(OTHER, BARS.name, "job_1", promote=True, schedule="daily")

    house.play(scene)
