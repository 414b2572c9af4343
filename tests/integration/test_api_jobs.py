"""Jobs over real HTTP: submit, wait, follow, cancel, retry."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx

from datacanal.configuration import LimitsSection
from datacanal.domain.errors import AttemptLost, ConversionFailed, DatasetNotFound
from datacanal.protocol.catalogue import DatasetColumn, DatasetReport, SnapshotSummary
from datacanal.protocol.site import RefreshCommand
from datacanal.testing.compiler_fake import ScriptedCompiler
from datacanal.testing.control_house import ControlHouse, control_house

Scene = Callable[[ControlHouse, httpx.AsyncClient], Awaitable[None]]


def play(home: Path, scene: Scene, **options: object) -> None:
    """Run a scene in a house with an admin's client."""

    async def run() -> None:
        async with control_house(home, **options) as house:  # type: ignore[arg-type]  # options are the house's own
            await scene(house, await house.admin())

    asyncio.run(run())


async def submitted(http: httpx.AsyncClient, sql: str) -> str:
    response = await http.post("/v1/jobs", json={"sql": sql})
    assert response.status_code == 202, response.text
    assert response.headers["Location"] == f"/v1/jobs/{response.json()['id']}"
    return str(response.json()["id"])


def test_a_job_across_two_sites_runs_to_its_end(any_home: Path) -> None:
    async def scene(house: ControlHouse, admin: httpx.AsyncClient) -> None:
        core, users = await house.agent("core"), await house.agent("users")
        job = await submitted(admin, "across users core")
        await users.run(await users.lease())
        query = await core.lease()
        assert [offer.ticket for offer in query.inputs] == [f"ticket-for-{core.public_key}"]
        await core.run(query)
        view = (await admin.get(f"/v1/jobs/{job}", params={"wait_s": 20})).json()
        assert view["state"] == "succeeded"
        assert view["stats"]["transfers"][0]["bytes_wire"] == view["stats"]["bytes_moved"] == 100
        assert view["result"]["columns"] == [{"name": "n", "type": "BIGINT"}]
        logs = (await admin.get(f"/v1/jobs/{job}/logs")).json()
        assert [attempt["said"] for attempt in logs["attempts"]] == ["", ""]

    play(any_home, scene)


def test_the_same_key_and_request_make_one_job_and_another_request_conflicts(any_home: Path) -> None:
    async def scene(house: ControlHouse, admin: httpx.AsyncClient) -> None:
        await house.agent("core")
        key = {"Idempotency-Key": "k"}
        sent = [admin.post("/v1/jobs", json={"sql": "at core"}, headers=key) for _ in range(5)]
        answers = await asyncio.gather(*sent)
        assert len({answer.json()["id"] for answer in answers}) == 1
        assert sorted(answer.status_code for answer in answers) == [200] * 4 + [202]
        other = await admin.post("/v1/jobs", json={"sql": "at users"}, headers=key)
        assert (other.status_code, other.json()["code"]) == (409, "idempotency_conflict")
        ben = await house.caller("analyst", "ben")
        mine = await ben.post("/v1/jobs", json={"sql": "at users"}, headers=key)
        assert mine.status_code == 202

    play(any_home, scene)


def test_a_refused_statement_leaves_no_job_behind(any_home: Path) -> None:
    async def scene(house: ControlHouse, admin: httpx.AsyncClient) -> None:
        answer = await admin.post("/v1/jobs", json={"sql": "nonsense"})
        assert (answer.status_code, answer.json()["code"]) == (422, "sql_syntax")
        assert answer.headers["content-type"] == "application/problem+json"
        assert (await admin.get("/v1/jobs")).json()["jobs"] == []

    play(any_home, scene)


def test_other_kinds_of_jobs_are_not_available(any_home: Path) -> None:
    async def scene(house: ControlHouse, admin: httpx.AsyncClient) -> None:
        answer = await admin.post("/v1/jobs", json={"kind": "pipeline", "sql": "at core"})
        assert (answer.status_code, answer.json()["code"]) == (422, "not_available")

    play(any_home, scene)


def test_a_plan_made_at_submission_is_used_unless_something_new_was_reported(any_home: Path) -> None:
    compiler = ScriptedCompiler()

    async def scene(house: ControlHouse, admin: httpx.AsyncClient) -> None:
        core = await house.agent("core")
        await submitted(admin, "at core")
        await core.lease()
        assert compiler.compiled["at core"] == 1

    play(any_home, scene, compiler=compiler)


def test_an_unknown_dataset_is_looked_for_at_the_sites_before_it_is_refused(any_home: Path) -> None:
    compiler = ScriptedCompiler()
    compiler.refusals["select new"] = DatasetNotFound(name="new", hint="There is none.")

    async def scene(house: ControlHouse, admin: httpx.AsyncClient) -> None:
        core = await house.agent("core")
        answer = asyncio.create_task(admin.post("/v1/jobs", json={"sql": "select new"}))
        assert (await core.poll()).commands == [RefreshCommand(lake=None)]
        del compiler.refusals["select new"]
        core.datasets = [report("fresh")]
        await core.hello()
        assert (await answer).json()["code"] == "sql_syntax"
        assert compiler.compiled["select new"] == 2

    play(any_home, scene, compiler=compiler)


def report(name: str) -> DatasetReport:
    return DatasetReport(
        lake="lake_core",
        name=name,
        columns=[DatasetColumn(name="n", type="BIGINT")],
        snapshot=SnapshotSummary(id=f"snp_{name}", files=1, rows=5, bytes=50),
    )


def test_refreshing_answers_with_what_the_sites_report_then(any_home: Path) -> None:
    async def scene(house: ControlHouse, admin: httpx.AsyncClient) -> None:
        core = await house.agent("core")
        assert (await admin.get("/v1/datasets")).json()["datasets"] == []
        answer = asyncio.create_task(admin.post("/v1/datasets/refresh", params={"lake": "lake_core"}))
        assert (await core.poll()).commands == [RefreshCommand(lake="lake_core")]
        core.datasets = [report("payments")]
        await core.report()
        assert [item["name"] for item in (await answer).json()["datasets"]] == ["payments"]
        assert (await admin.get("/v1/datasets/lake_core.payments")).json()["snapshot"] == "snp_payments"
        assert (await admin.get("/v1/datasets/lake_core.nothing")).status_code == 404
        assert (await admin.post("/v1/lakes/nowhere/refresh")).status_code == 404

    play(any_home, scene)


def test_events_can_be_taken_up_where_they_broke_off(any_home: Path) -> None:
    async def scene(house: ControlHouse, admin: httpx.AsyncClient) -> None:
        core = await house.agent("core")
        job = await submitted(admin, "at core")
        await core.run(await core.lease())
        whole = events_in((await admin.get(f"/v1/jobs/{job}/events")).text)
        names = [event["event"] for event in whole]
        assert names == [
            "job_queued", "job_planning", "step_ready", "job_running", "step_leased", "step_running", "step_done",
            "job_succeeded",
        ]  # fmt: skip
        last = {"Last-Event-ID": str(whole[4]["seq"])}
        assert events_in((await admin.get(f"/v1/jobs/{job}/events", headers=last)).text) == whole[5:]

    play(any_home, scene)


def test_events_arrive_while_the_job_runs(any_home: Path) -> None:
    async def scene(house: ControlHouse, admin: httpx.AsyncClient) -> None:
        core = await house.agent("core")
        job = await submitted(admin, "at core")
        async with admin.stream("GET", f"/v1/jobs/{job}/events") as stream:
            lines = stream.aiter_lines()
            lease = await core.lease()
            while "step_leased" not in await anext(lines):
                pass
            await core.run(lease)
            assert any("job_succeeded" in line for line in [line async for line in lines])

    play(any_home, scene)


def events_in(text: str) -> list[dict[str, object]]:
    return [json.loads(line.removeprefix("data: ")) for line in text.splitlines() if line.startswith("data: ")]


def test_cancelling_tells_the_agent_at_once_and_ends_with_its_answer(any_home: Path) -> None:
    async def scene(house: ControlHouse, admin: httpx.AsyncClient) -> None:
        core = await house.agent("core")
        job = await submitted(admin, "at core")
        lease = await core.lease()
        told = asyncio.create_task(core.poll())
        asked = (await admin.post(f"/v1/jobs/{job}/cancel")).json()
        assert (asked["state"], asked["cancel_requested"]) == ("running", True)
        assert [item.step for item in (await told).cancels] == [lease.step]
        await core.fail(lease, AttemptLost(reason="killed as asked"))
        assert (await admin.get(f"/v1/jobs/{job}", params={"wait_s": 20})).json()["state"] == "cancelled"
        again = await admin.post(f"/v1/jobs/{job}/cancel")
        assert (again.status_code, again.json()["state"]) == (200, "cancelled")

    play(any_home, scene)


def test_a_failed_job_names_its_cause_and_can_be_retried_as_a_new_job(any_home: Path) -> None:
    async def scene(house: ControlHouse, admin: httpx.AsyncClient) -> None:
        core = await house.agent("core")
        job = await submitted(admin, "at core")
        early = await admin.post(f"/v1/jobs/{job}/retry")
        assert (early.status_code, early.json()["code"]) == (409, "wrong_state")
        await core.fail(await core.lease(), ConversionFailed())
        failed = (await admin.get(f"/v1/jobs/{job}", params={"wait_s": 20})).json()
        assert (failed["state"], failed["problem"]["code"]) == ("failed", "conversion_failed")
        no_result = await admin.get(f"/v1/jobs/{job}/result")
        assert (no_result.status_code, no_result.json()["code"]) == (409, "wrong_state")
        again = await admin.post(f"/v1/jobs/{job}/retry")
        assert (again.status_code, again.json()["retry_of"]) == (202, job)
        assert (await core.lease()).job == again.json()["id"]

    play(any_home, scene)


def test_waiting_jobs_say_why_they_wait(any_home: Path) -> None:
    async def scene(house: ControlHouse, admin: httpx.AsyncClient) -> None:
        first = await submitted(admin, "at core")
        second = await submitted(admin, "at core")
        await until_running(admin, first)
        assert "site core has never connected" in (await admin.get(f"/v1/jobs/{first}")).json()["waits"]
        assert "you run 1 jobs and the limit per user is 1" in (await admin.get(f"/v1/jobs/{second}")).json()["waits"]
        core = await house.agent("core")
        assert "slots of site core are busy" in (await admin.get(f"/v1/jobs/{first}")).json()["waits"]
        await core.run(await core.lease())
        assert (await core.lease()).job == second

    play(any_home, scene, limits=LimitsSection(running_jobs_per_user=1))


async def until_running(http: httpx.AsyncClient, job: str) -> None:
    async with http.stream("GET", f"/v1/jobs/{job}/events") as stream:
        async for line in stream.aiter_lines():
            if "job_running" in line:
                return


def test_a_queue_that_is_full_refuses_more(any_home: Path) -> None:
    async def scene(house: ControlHouse, admin: httpx.AsyncClient) -> None:
        first = await submitted(admin, "at core")
        await until_running(admin, first)
        await submitted(admin, "at core")
        refused = await admin.post("/v1/jobs", json={"sql": "at core"})
        assert (refused.status_code, refused.json()["code"]) == (429, "queue_full")
        assert "Retry-After" in refused.headers

    play(any_home, scene, limits=LimitsSection(running_jobs=1, waiting_jobs=1))


def test_a_statement_without_datasets_waits_for_any_site(any_home: Path) -> None:
    async def scene(house: ControlHouse, admin: httpx.AsyncClient) -> None:
        job = await submitted(admin, "anywhere")
        core = await house.agent("core")
        assert (await core.lease()).job == job

    play(any_home, scene)


def test_jobs_are_listed_page_by_page_the_newest_first(any_home: Path) -> None:
    async def scene(house: ControlHouse, admin: httpx.AsyncClient) -> None:
        jobs = [await submitted(admin, "at core") for _ in range(5)]
        page = (await admin.get("/v1/jobs", params={"limit": 3})).json()
        rest = (await admin.get("/v1/jobs", params={"limit": 3, "after": page["next"]})).json()
        assert [job["id"] for job in page["jobs"] + rest["jobs"]] == sorted(jobs, reverse=True)
        assert rest["next"] is None

    play(any_home, scene)


def test_an_explanation_stores_nothing(any_home: Path) -> None:
    async def scene(house: ControlHouse, admin: httpx.AsyncClient) -> None:
        answer = await admin.post("/v1/jobs/explain", json={"sql": "across users core"})
        assert (answer.status_code, answer.json()["text"]) == (200, "2 steps")
        assert (await admin.get("/v1/jobs")).json()["jobs"] == []

    play(any_home, scene)


def test_jobs_go_on_after_a_restart_of_the_control_plane(any_home: Path) -> None:
    async def scene() -> None:
        async with control_house(any_home) as house:
            admin, core = await house.admin(), await house.agent("core")
            queued = await submitted(admin, "at users")
            running = await submitted(admin, "at core")
            lease = await core.lease()
            session = core.session
        async with control_house(any_home) as house:
            admin = await house.admin()
            _, core._http = await house.member("core")
            assert core.session == session
            await core.run(lease)
            assert (await admin.get(f"/v1/jobs/{running}", params={"wait_s": 20})).json()["state"] == "succeeded"
            users = await house.agent("users")
            assert (await users.lease()).job == queued

    asyncio.run(scene())


def test_stopping_answers_everybody_who_waits(any_home: Path) -> None:
    async def scene(house: ControlHouse, admin: httpx.AsyncClient) -> None:
        core = await house.agent("core")
        job = await submitted(admin, "at users")
        polling = asyncio.create_task(core.poll(wait_s=60))
        waiting = asyncio.create_task(admin.get(f"/v1/jobs/{job}", params={"wait_s": 60}))
        following = asyncio.create_task(admin.get(f"/v1/jobs/{job}/events"))
        await until_running(admin, job)
        house.plane.begin_closing()
        assert (await polling).leases == []
        assert (await waiting).json()["state"] == "running"
        assert (await following).status_code == 200

    play(any_home, scene)
