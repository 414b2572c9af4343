"""Functions as jobs over real HTTP, with the real compiler and agents that follow a script."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pytest
from tests.integration.town import OneAtATime

from datacanal.client import Client
from datacanal.protocol.catalogue import DatasetColumn, DatasetReport, SnapshotSummary
from datacanal.protocol.labels import Label, Owner
from datacanal.protocol.public import MAX_PICKLE_BYTES
from datacanal.protocol.site import Lease
from datacanal.testing.agent_fake import ScriptedAgent
from datacanal.testing.control_house import ControlHouse, control_house

Scene = Callable[[ControlHouse, httpx.AsyncClient], Awaitable[None]]
PICKLE = b"a pickle that nobody here opens"
CODE = base64.b64encode(PICKLE).decode()
INPUTS = {"people": "SELECT name FROM lake_users.people WHERE name <> $region"}


def play(home: Path, scene: Scene) -> None:
    async def run() -> None:
        async with control_house(home, compiler=OneAtATime()) as house:
            await scene(house, await house.admin())

    asyncio.run(run())


def body(*, params: dict[str, Any] | None = None, timeouts: dict[str, float] | None = None, **python: Any) -> Any:
    fields = {
        "site": "core",
        "name": "score",
        "code": CODE,
        "source": "def score(ctx, region: str): ...",
        "environment": {"python": "3.11", "packages": {"pandas": "2.2.0"}},
        "columns": {"region": "VARCHAR", "n": "BIGINT"},
    }
    return {"kind": "python", "python": {**fields, **python}, "params": params or {}, "timeouts": timeouts or {}}


def with_tables(**python: Any) -> Any:
    tables = {"datasets": ["lake_core.payments"], "inputs": INPUTS, "parameters": {"region": "str"}}
    return body(params={"region": "Praha"}, **{**tables, **python})


def report(lake: str, name: str, *columns: str) -> DatasetReport:
    label = Label(owners=[Owner(lake=lake, dataset=name, policy="p" * 64)])
    return DatasetReport(
        lake=lake,
        name=name,
        columns=[DatasetColumn(name=column, type="VARCHAR", label=label) for column in columns],
        snapshot=SnapshotSummary(id=f"snp_{name}", files=1, rows=5, bytes=50),
    )


async def agents(house: ControlHouse) -> tuple[ScriptedAgent, ScriptedAgent]:
    core, users = await house.agent("core"), await house.agent("users")
    core.datasets = [report("lake_core", "payments", "id", "region")]
    users.datasets = [report("lake_users", "people", "name")]
    await core.report()
    await users.report()
    return core, users


async def submitted(http: httpx.AsyncClient, request: Any) -> str:
    answer = await http.post("/v1/jobs", json=request)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


async def refused(http: httpx.AsyncClient, request: Any) -> tuple[int, str, str]:
    answer = await http.post("/v1/jobs", json=request)
    assert (await http.get("/v1/jobs")).json()["jobs"] == []
    return answer.status_code, answer.json()["code"], f"{answer.json()['detail']} {answer.json()['remedy']}"


async def reached_python(core: ScriptedAgent, users: ScriptedAgent) -> Lease:
    """What the function is given is made; its own step is leased."""
    await users.run(await users.lease())
    await core.run(await core.lease())
    return await core.lease()


async def ended(http: httpx.AsyncClient, job: str) -> Any:
    return (await http.get(f"/v1/jobs/{job}", params={"wait_s": 20})).json()


def test_a_function_gets_its_tables_and_its_table_is_the_result(tmp_path: Path) -> None:
    async def scene(house: ControlHouse, admin: httpx.AsyncClient) -> None:
        core, users = await agents(house)
        job = await submitted(admin, with_tables(workers=2))
        lease = await reached_python(core, users)
        assert (lease.step, lease.is_result) == ("python", True)
        assert [offer.step for offer in lease.inputs] == ["people__query"]
        step = lease.plan.step("python")
        assert step.python is not None
        assert step.python.code.pickle == CODE
        assert step.params == {"region": "Praha"}
        assert {owner.dataset for owner in step.columns[0].label.owners} == {"payments", "people"}
        await core.run(lease)
        view = await ended(admin, job)
        assert view["state"] == "succeeded", view["problem"]
        assert (view["kind"], view["sql"]) == ("python", "score")
        assert view["result"]["columns"] == [
            {"name": "region", "type": "VARCHAR"},
            {"name": "n", "type": "BIGINT"},
        ]
        [moved] = view["stats"]["transfers"]
        assert (moved["from"], moved["to"], moved["bytes_wire"]) == ("users", "core", 100)

    play(tmp_path, scene)


def test_no_view_of_a_job_holds_its_pickle(tmp_path: Path) -> None:
    async def scene(house: ControlHouse, admin: httpx.AsyncClient) -> None:
        core, users = await agents(house)
        job = await submitted(admin, with_tables())
        await core.run(await reached_python(core, users))
        await ended(admin, job)
        shown = [
            (await admin.get(path)).text
            for path in ("/v1/jobs", f"/v1/jobs/{job}", f"/v1/jobs/{job}/events", f"/v1/jobs/{job}/logs")
        ]
        shown.append((await admin.post("/v1/jobs/explain", json=with_tables())).text)
        assert [text for text in shown if CODE in text] == []
        assert hashlib.sha256(PICKLE).hexdigest() in shown[1]

    play(tmp_path, scene)


def test_a_retry_sends_the_same_function_again(tmp_path: Path) -> None:
    async def scene(house: ControlHouse, admin: httpx.AsyncClient) -> None:
        core, users = await agents(house)
        job = await submitted(admin, with_tables())
        first = await reached_python(core, users)
        await core.run(first)
        await ended(admin, job)
        again = (await admin.post(f"/v1/jobs/{job}/retry")).json()
        assert (again["retry_of"], again["kind"], again["params"]) == (job, "python", {"region": "Praha"})
        second = await reached_python(core, users)
        assert second.job == again["id"]
        assert second.plan.step("python") == first.plan.step("python")

    play(tmp_path, scene)


def test_a_function_that_waited_for_a_site_is_planned_from_what_is_stored(tmp_path: Path) -> None:
    request = body(inputs={"one": "SELECT 1 AS one"})

    async def before(house: ControlHouse, admin: httpx.AsyncClient) -> None:
        await submitted(admin, request)

    async def after(house: ControlHouse, admin: httpx.AsyncClient) -> None:
        core = await house.agent("core")
        await core.run(await core.lease())
        lease = await core.lease()
        assert lease.plan.step("python").python.code.pickle == CODE  # type: ignore[union-attr]  # it has one
        await core.run(lease)
        assert (await ended(admin, lease.job))["state"] == "succeeded"

    play(tmp_path, before)
    play(tmp_path, after)


def test_the_largest_function_gets_through_to_the_site(tmp_path: Path) -> None:
    async def scene(house: ControlHouse, admin: httpx.AsyncClient) -> None:
        core = await house.agent("core")
        largest = base64.b64encode(bytes(range(256)) * (MAX_PICKLE_BYTES // 256)).decode()
        await submitted(admin, body(code=largest, source="ž" * 65_536))
        lease = await core.lease()
        assert lease.plan.step("python").python.code.pickle == largest  # type: ignore[union-attr]  # it has one
        await core.run(lease)
        assert (await ended(admin, lease.job))["state"] == "succeeded"

    play(tmp_path, scene)


def test_cancelling_stops_the_function(tmp_path: Path) -> None:
    async def scene(house: ControlHouse, admin: httpx.AsyncClient) -> None:
        core = await house.agent("core")
        job = await submitted(admin, body())
        lease = await core.lease()
        await core.start(lease)
        polled = asyncio.create_task(core.poll())
        await admin.post(f"/v1/jobs/{job}/cancel")
        assert [(stop.job, stop.step) for stop in (await polled).cancels] == [(job, "python")]

    play(tmp_path, scene)


def test_a_function_that_runs_too_long_is_stopped(tmp_path: Path) -> None:
    async def scene(house: ControlHouse, admin: httpx.AsyncClient) -> None:
        core = await house.agent("core")
        job = await submitted(admin, body(timeouts={"run_timeout_s": 0.5}))
        await core.start(await core.lease())
        view = await ended(admin, job)
        assert (view["state"], view["problem"]["code"]) == ("failed", "timeout")

    play(tmp_path, scene)


def test_an_explanation_says_where_the_function_runs_and_what_moves(tmp_path: Path) -> None:
    async def scene(house: ControlHouse, admin: httpx.AsyncClient) -> None:
        await agents(house)
        text = (await admin.post("/v1/jobs/explain", json=with_tables())).json()["text"]
        assert "Everything meets at core: the job names it" in text
        assert "users sends people to core" in text
        assert "python at core: the function score" in text
        assert (await admin.get("/v1/jobs")).json()["jobs"] == []

    play(tmp_path, scene)


def test_a_dataset_of_another_site_is_refused_with_the_hint_to_use_inputs(tmp_path: Path) -> None:
    async def scene(house: ControlHouse, admin: httpx.AsyncClient) -> None:
        await agents(house)
        status, code, words = await refused(admin, body(datasets=["lake_users.people"]))
        assert (status, code) == (403, "policy_python_refused")
        assert 'inputs={"people": "SELECT … FROM lake_users.people"}' in words

    play(tmp_path, scene)


@pytest.mark.parametrize(
    ("request_body", "status", "code"),
    [
        ({"kind": "python"}, 422, "bad_function"),
        ({"kind": "python", "sql": "SELECT 1", "python": body()["python"]}, 422, "bad_function"),
        ({"kind": "sql", "sql": "SELECT 1", "python": body()["python"]}, 422, "bad_function"),
        (body(site="moon"), 422, "bad_function"),
        (body(code="%"), 422, "bad_function"),
        (body(code="A" * 700_004), 422, "bad_function"),
        (body(code="A" * 2**20), 413, "body_too_large"),
        (body(memory="lots"), 422, "bad_function"),
        (body(columns={}), 400, "bad_field"),
        (body(columns={"n": "NUMBER()"}), 422, "bad_function"),
        (body(inputs={"a b": "SELECT 1"}), 422, "bad_function"),
        (body(inputs={"a": "SELECT"}), 422, "sql_syntax"),
        (body(datasets=["nowhere.nothing"]), 422, "dataset_not_found"),
        (body(params={"year": 1}), 422, "bad_argument"),
        (body(parameters={"year": "int"}, params={"year": "x"}), 422, "bad_argument"),
        (body(digest="d" * 64), 400, "bad_field"),
    ],
)
def test_what_is_wrong_with_a_function_leaves_no_job_behind(
    tmp_path: Path, request_body: Any, status: int, code: str
) -> None:
    async def scene(house: ControlHouse, admin: httpx.AsyncClient) -> None:
        core = asyncio.create_task((await house.agent("core")).work())
        found = await refused(admin, request_body)
        core.cancel()
        await asyncio.gather(core, return_exceptions=True)
        assert found[:2] == (status, code), found

    play(tmp_path, scene)


def score(ctx: Any, region: str = "Praha") -> pa.Table:
    return pa.table({"region": [region]})


def test_the_client_submits_what_the_service_takes(tmp_path: Path) -> None:
    async def scene(house: ControlHouse, admin: httpx.AsyncClient) -> None:
        core, users = await agents(house)
        token = admin.headers["Authorization"].removeprefix("Bearer ")
        with Client(house.url, token) as client:
            declare = client.job(
                site="core", datasets=["lake_core.payments"], inputs=INPUTS, columns={"region": "VARCHAR"}
            )
            function = declare(score)
            explained = await asyncio.to_thread(client.explain, function)
            assert explained.plan.step("python").python is not None
            job = await asyncio.to_thread(client.submit, function, region="Brno")
            lease = await reached_python(core, users)
            assert (lease.job, lease.plan.step("python").params) == (job.id, {"region": "Brno"})
            await core.run(lease)
            assert (await asyncio.to_thread(job.wait, 20)).state == "succeeded"

    play(tmp_path, scene)


def test_two_requests_under_one_key_are_told_apart_by_their_code(tmp_path: Path) -> None:
    async def scene(house: ControlHouse, admin: httpx.AsyncClient) -> None:
        await house.agent("core")
        key = {"Idempotency-Key": "k"}
        codes = [CODE, CODE, base64.b64encode(b"another").decode()]
        answers = [await admin.post("/v1/jobs", content=json.dumps(body(code=code)), headers={
            **key, "Content-Type": "application/json",
        }) for code in codes]  # fmt: skip
        assert [answer.status_code for answer in answers] == [202, 200, 409]

    play(tmp_path, scene)
