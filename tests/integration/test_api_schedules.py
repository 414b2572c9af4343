"""Schedules over the API: made, due, carried to their end, across restarts and leaps of the clock."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from datacanal.control.clock import SystemClock
from datacanal.control.schedules.rows import SCHEDULES
from datacanal.control.signals import QUEUE
from datacanal.control.store.opening import open_store
from datacanal.domain.errors import SqlSyntax
from datacanal.testing.agent_fake import ScriptedAgent
from datacanal.testing.compiler_fake import ScriptedCompiler
from datacanal.testing.control_house import ControlHouse, control_house, database_of

Scene = Callable[[ControlHouse, httpx.AsyncClient], Awaitable[None]]
NIGHTLY: dict[str, Any] = {
    "name": "nightly",
    "cron": "30 2 * * *",
    "timezone": "Europe/Berlin",
    "job": {"sql": "at core"},
}
EVERY_MINUTE = {**NIGHTLY, "name": "often", "cron": "* * * * *"}


class LeapingClock(SystemClock):
    """Its wall clock stands, ten seconds after today's noon, until a test lets it leap."""

    def __init__(self, ahead: timedelta = timedelta(0)) -> None:
        super().__init__()
        self.ahead = ahead
        self._noon = datetime.now(UTC).replace(hour=12, minute=0, second=10, microsecond=0)

    def now(self) -> datetime:
        return self._noon + self.ahead


def play(home: Path, scene: Scene, clock: SystemClock | None = None) -> None:
    async def run() -> None:
        async with control_house(home, clock=lambda: clock or SystemClock()) as house:
            await scene(house, await house.admin())

    asyncio.run(run())


@asynccontextmanager
async def working(house: ControlHouse, site: str = "core") -> AsyncIterator[ScriptedAgent]:
    """An agent of the site that does what it is given."""
    agent = await house.agent(site)
    task = asyncio.create_task(agent.work())
    try:
        yield agent
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def create(caller: httpx.AsyncClient, schedule: dict[str, Any]) -> dict[str, Any]:
    made = await caller.post("/v1/schedules", json=schedule)
    assert made.status_code == 201, made.text
    view: dict[str, Any] = made.json()
    return view


async def ended(house: ControlHouse, caller: httpx.AsyncClient, name: str, count: int = 1) -> list[dict[str, Any]]:
    """The runs, oldest first, as soon as so many have ended."""
    with house.plane.desk.signals.subscribe(SCHEDULES) as changes:
        while True:
            runs = (await caller.get(f"/v1/schedules/{name}/runs")).json()["runs"][::-1]
            if sum(run["finished_at"] is not None for run in runs) >= count:
                return list(runs)
            await changes.next(20)


def leap(house: ControlHouse, clock: LeapingClock, ahead: timedelta) -> None:
    """Set the wall clock, and let the keeper notice now rather than within half a minute."""
    clock.ahead += ahead
    house.plane.desk.signals.wake([SCHEDULES])


def test_a_schedule_says_when_it_is_due_next(any_home: Path) -> None:
    async def scene(house: ControlHouse, admin: httpx.AsyncClient) -> None:
        made = await create(admin, {**NIGHTLY, "calendar": "XNYS"})
        assert made["owner"] == "admin"
        due = datetime.fromisoformat(made["next_at"])
        assert (due.minute, due > datetime.now(UTC)) == (30, True)
        assert (await admin.get("/v1/schedules")).json()["schedules"] == [made]
        assert (await admin.get("/v1/schedules/nightly")).json() == made

    play(any_home, scene)


@pytest.mark.parametrize(
    ("wrong", "status", "code", "says"),
    [
        ({"cron": "30 25 * * *"}, 422, "bad_cron", "the field hour"),
        ({"cron": "0 0 30 2 *"}, 422, "never_due", "no month"),
        ({"cron": "0 0 * * SAT", "calendar": "XNYS"}, 422, "never_due", "XNYS"),
        ({"timezone": "Mars/Olympus"}, 422, "unknown_time_zone", "Mars/Olympus"),
        ({"calendar": "XNIS"}, 422, "unknown_calendar", "XNIS"),
        ({"job": {"sql": "nonsense"}}, 422, "sql_syntax", "scripted"),
        ({"job": {"sql": "at core", "timeouts": {"run_timeout_s": 1e9}}}, 422, "timeout_too_long", "run_timeout_s"),
        ({"product": "bank.bars"}, 404, "not_found", "bank.bars"),
        ({"promote": True}, 422, "nothing_to_promote", "promote: it is about the versions of a product"),
        ({"name": "No Name"}, 400, "bad_field", "name: lower-case letters, digits, _ and - are needed"),
        ({"catch_up": "some"}, 400, "bad_field", "catch_up"),
    ],
)
def test_a_schedule_that_cannot_work_is_refused_with_its_reason(
    any_home: Path, wrong: dict[str, Any], status: int, code: str, says: str
) -> None:
    async def scene(house: ControlHouse, admin: httpx.AsyncClient) -> None:
        answer = await admin.post("/v1/schedules", json={**NIGHTLY, **wrong})
        assert (answer.status_code, answer.json()["code"]) == (status, code)
        assert says in answer.json()["detail"]
        assert (await admin.get("/v1/schedules")).json() == {"schedules": []}

    play(any_home, scene)


def test_a_name_is_given_once(any_home: Path) -> None:
    async def scene(house: ControlHouse, admin: httpx.AsyncClient) -> None:
        await create(admin, NIGHTLY)
        again = await admin.post("/v1/schedules", json=NIGHTLY)
        assert (again.status_code, again.json()["code"]) == (409, "schedule_exists")

    play(any_home, scene)


def test_run_submits_the_job_now_in_the_owners_name(any_home: Path) -> None:
    async def scene(house: ControlHouse, admin: httpx.AsyncClient) -> None:
        ana = await house.caller("analyst", "ana")
        await create(ana, NIGHTLY)
        async with working(house):
            begun = await admin.post("/v1/schedules/nightly/run")
            assert (begun.status_code, begun.json()["state"]) == (202, "waiting")
            (run,) = await ended(house, ana, "nightly")
        assert (run["state"], run["problem"]) == ("succeeded", None)
        job = (await ana.get(f"/v1/jobs/{run['job']}")).json()
        assert (job["state"], job["principal"], job["sql"]) == ("succeeded", "ana", "at core")

    play(any_home, scene)


def test_a_time_that_comes_due_runs_and_the_next_one_is_set(any_home: Path) -> None:
    clock = LeapingClock()

    async def scene(house: ControlHouse, admin: httpx.AsyncClient) -> None:
        made = await create(admin, EVERY_MINUTE)
        async with working(house):
            leap(house, clock, timedelta(minutes=1))
            (run,) = await ended(house, admin, "often")
        assert (run["state"], run["due_at"]) == ("succeeded", made["next_at"])
        after = (await admin.get("/v1/schedules/often")).json()["next_at"]
        assert after > made["next_at"]

    play(any_home, scene, clock)


def test_a_clock_that_goes_back_submits_nothing_again(any_home: Path) -> None:
    clock = LeapingClock()

    async def scene(house: ControlHouse, admin: httpx.AsyncClient) -> None:
        await create(admin, EVERY_MINUTE)
        async with working(house):
            leap(house, clock, timedelta(hours=1))
            await ended(house, admin, "often")
            leap(house, clock, timedelta(hours=-1))
            await admin.post("/v1/schedules/often/run")
            runs = await ended(house, admin, "often", 3)
        states = [run["state"] for run in runs]
        assert sorted(states) == ["skipped", "succeeded", "succeeded"]
        assert len((await admin.get("/v1/jobs")).json()["jobs"]) == 2

    play(any_home, scene, clock)


def test_what_passed_while_nothing_ran_is_made_up_for_after_the_next_start(any_home: Path) -> None:
    async def before(house: ControlHouse, admin: httpx.AsyncClient) -> None:
        for rule in ("none", "last", "all"):
            await create(admin, {**NIGHTLY, "cron": "0 * * * *", "name": rule, "catch_up": rule})

    async def after(house: ControlHouse, admin: httpx.AsyncClient) -> None:
        async with working(house):
            found = {rule: await ended(house, admin, rule, count) for rule, count in counts.items()}
        states = {rule: [run["state"] for run in runs] for rule, runs in found.items()}
        assert states == {"none": ["skipped"], "last": ["skipped", "succeeded"], "all": ["succeeded"] * 3}
        assert "while nothing ran" in found["none"][0]["problem"]["detail"]

    counts = {"none": 1, "last": 2, "all": 3}
    play(any_home, before, LeapingClock())
    play(any_home, after, LeapingClock(timedelta(hours=3, minutes=10)))


def test_a_crash_between_the_turn_and_the_note_of_its_job_makes_no_second_job(any_home: Path) -> None:
    """The job was submitted under the run's key, and nobody wrote down which it is."""

    async def before(house: ControlHouse, admin: httpx.AsyncClient) -> None:
        await create(admin, NIGHTLY)
        with house.plane.desk.signals.subscribe(QUEUE) as queue:
            await admin.post("/v1/schedules/nightly/run")
            while not jobs:
                await queue.next(20)
                jobs.extend(job["id"] for job in (await admin.get("/v1/jobs")).json()["jobs"])

    async def after(house: ControlHouse, admin: httpx.AsyncClient) -> None:
        async with working(house):
            (run,) = await ended(house, admin, "nightly")
        assert (run["state"], run["job"]) == ("succeeded", jobs[0])
        assert [job["id"] for job in (await admin.get("/v1/jobs")).json()["jobs"]] == jobs

    jobs: list[str] = []
    play(any_home, before)
    store = open_store(any_home, SystemClock(), database_of(any_home))
    with store.writer.begin() as connection:
        assert connection.execute(text("UPDATE schedule_runs SET job_id = NULL")).rowcount == 1
    store.dispose()
    play(any_home, after)


def test_the_next_time_waits_for_a_job_that_still_runs(any_home: Path) -> None:
    async def scene(house: ControlHouse, admin: httpx.AsyncClient) -> None:
        await create(admin, NIGHTLY)
        for _ in range(3):
            await admin.post("/v1/schedules/nightly/run")
        runs = await ended(house, admin, "nightly")
        assert [run["state"] for run in runs] == ["running", "skipped", "waiting"]
        async with working(house):
            runs = await ended(house, admin, "nightly", 3)
        assert [run["state"] for run in runs] == ["succeeded", "skipped", "succeeded"]

    play(any_home, scene)


def test_a_job_that_fails_or_is_cancelled_fails_its_run_with_that_problem(any_home: Path) -> None:
    async def scene(house: ControlHouse, admin: httpx.AsyncClient) -> None:
        await create(admin, NIGHTLY)
        with house.plane.desk.signals.subscribe(QUEUE) as queue:
            await admin.post("/v1/schedules/nightly/run")
            while not (jobs := (await admin.get("/v1/jobs")).json()["jobs"]):
                await queue.next(20)
        await admin.post(f"/v1/jobs/{jobs[0]['id']}/cancel")
        (run,) = await ended(house, admin, "nightly")
        assert (run["state"], run["problem"]["code"]) == ("failed", "job_cancelled")

    play(any_home, scene)


def test_a_job_that_does_not_plan_any_more_fails_its_run(any_home: Path) -> None:
    compiler = ScriptedCompiler()

    async def scene(house: ControlHouse, admin: httpx.AsyncClient) -> None:
        await create(admin, NIGHTLY)
        compiler.refusals["at core"] = SqlSyntax(reason="a column is gone", position=0)
        await admin.post("/v1/schedules/nightly/run")
        (run,) = await ended(house, admin, "nightly")
        assert (run["state"], run["problem"]["code"], run["job"]) == ("failed", "sql_syntax", None)

    async def main() -> None:
        async with control_house(any_home, compiler=compiler) as house:
            await scene(house, await house.admin())

    asyncio.run(main())


def test_a_paused_schedule_is_not_due_until_it_is_resumed(any_home: Path) -> None:
    clock = LeapingClock()

    async def scene(house: ControlHouse, admin: httpx.AsyncClient) -> None:
        await create(admin, EVERY_MINUTE)
        for _ in range(2):
            await admin.post("/v1/schedules/often/run")
            leap(house, clock, timedelta(seconds=1))
        paused = (await admin.post("/v1/schedules/often/pause")).json()
        assert (paused["paused"], paused["next_at"]) == (True, None)
        leap(house, clock, timedelta(hours=2))
        async with working(house):
            runs = await ended(house, admin, "often", 2)
            assert sorted(run["state"] for run in runs) == ["skipped", "succeeded"]
            resumed = (await admin.post("/v1/schedules/often/resume")).json()
            assert not resumed["paused"]
            assert datetime.fromisoformat(resumed["next_at"]) > clock.now()
            leap(house, clock, timedelta(minutes=1))
            runs = await ended(house, admin, "often", 3)
        assert runs[-1]["due_at"] == resumed["next_at"]

    play(any_home, scene, clock)


def test_removing_a_schedule_lets_its_job_go_on(any_home: Path) -> None:
    async def scene(house: ControlHouse, admin: httpx.AsyncClient) -> None:
        await create(admin, NIGHTLY)
        with house.plane.desk.signals.subscribe(QUEUE) as queue:
            await admin.post("/v1/schedules/nightly/run")
            while not (jobs := (await admin.get("/v1/jobs")).json()["jobs"]):
                await queue.next(20)
        assert (await admin.delete("/v1/schedules/nightly")).status_code == 204
        assert (await admin.get("/v1/schedules/nightly")).status_code == 404
        async with working(house):
            job = (await admin.get(f"/v1/jobs/{jobs[0]['id']}", params={"wait_s": 20})).json()
        assert job["state"] == "succeeded"
        await create(admin, NIGHTLY)

    play(any_home, scene)


def test_the_schedules_of_others_do_not_exist(any_home: Path) -> None:
    async def scene(house: ControlHouse, admin: httpx.AsyncClient) -> None:
        ana, ben = await house.caller("analyst", "ana"), await house.caller("publisher", "ben")
        await create(ana, NIGHTLY)
        calls = [
            ("GET", ""),
            ("DELETE", ""),
            ("GET", "/runs"),
            ("POST", "/pause"),
            ("POST", "/resume"),
            ("POST", "/run"),
        ]
        for method, path in calls:
            assert (await ben.request(method, f"/v1/schedules/nightly{path}")).status_code == 404
        assert (await ben.get("/v1/schedules")).json() == {"schedules": []}
        assert len((await admin.get("/v1/schedules")).json()["schedules"]) == 1
        for role in ("operator", "steward", "developer"):
            assert (await (await house.caller(role, role)).get("/v1/schedules")).status_code == 403

    play(any_home, scene)
