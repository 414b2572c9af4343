"""Products over the public API: made, published through an agent, released; and what others are told of them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from datacanal.control.tokens import new_token
from datacanal.domain.access import Principal
from datacanal.domain.errors import AuthorityRefused, DatacanalError
from datacanal.protocol.products import VersionView
from datacanal.protocol.public import TokenRequest
from datacanal.protocol.site import ConsentCommand
from datacanal.testing.agent_fake import ScriptedAgent
from datacanal.testing.control_house import ControlHouse, control_house

BARS = {"name": "pub.bars", "title": "Bars", "contract": {"key": ["n"]}}


@dataclass
class Published:
    """A house with a publisher, who has a product, and an agent at the site whose dataset it is made of."""

    house: ControlHouse
    publisher: httpx.AsyncClient
    core: ScriptedAgent

    async def job(self, sql: str = "reads core") -> str:
        job = (await self.publisher.post("/v1/jobs", json={"sql": sql})).json()["id"]
        await self.core.run(await self.core.lease())
        return str(job)

    async def publish(self, job: str) -> VersionView:
        answer = await self.publisher.post("/v1/products/pub.bars/versions", json={"job": job})
        assert answer.status_code == 202, answer.text
        return VersionView.model_validate(answer.json())

    async def ended(self, version: str) -> VersionView:
        """The version when it is no draft any more, the agent doing whatever is asked."""
        working = asyncio.create_task(self.core.work())
        try:
            return await self.look(version, wait_s=20)
        finally:
            working.cancel()
            await asyncio.gather(working, return_exceptions=True)

    async def look(self, version: str, wait_s: float = 0) -> VersionView:
        path = f"/v1/products/pub.bars/versions/{version}"
        answer = await self.publisher.get(path, params={"wait_s": wait_s})
        return VersionView.model_validate(answer.json())

    async def asked(self) -> ConsentCommand:
        """The next consent that the agent is asked for."""
        while True:
            for command in (await self.core.poll(free=0)).commands:
                if isinstance(command, ConsentCommand):
                    return command


def play(home: Path, scene: Callable[[Published], Awaitable[None]]) -> None:
    async def run() -> None:
        async with control_house(home) as house:
            publisher, core = await house.caller("publisher", "pub"), await house.agent("core")
            made = await publisher.post("/v1/products", json=BARS)
            assert (made.status_code, made.headers["Location"]) == (201, "/v1/products/pub.bars")
            await scene(Published(house, publisher, core))

    asyncio.run(run())


async def foreign_admin(house: ControlHouse) -> httpx.AsyncClient:
    """Of another tenant."""
    other = Principal(tenant="elsewhere", name="pub", role="admin")
    row, secret = new_token(house.plane.desk.clock, other, TokenRequest(name="pub", role="admin"), "")
    await house.plane.desk.write(lambda change: change.session.add(row))
    house.plane.tokens.load()
    return await house.client(secret)


def test_a_job_is_published_with_its_owners_consent_promoted_and_rolled_back(any_home: Path) -> None:
    async def scene(at: Published) -> None:
        for version in ("1.0", "1.1"):
            job = await at.job()
            assert (await at.publish(job)).version == version
            view = await at.ended(version)
            assert (view.state, [each.decision for each in view.consents]) == ("staged", ["granted"]), view.problem
            again = await at.publisher.post("/v1/products/pub.bars/versions", json={"job": job})
            assert (again.status_code, again.json()["snapshot"]) == (200, view.snapshot)
            promoted = await at.publisher.post("/v1/products/pub.bars/promote", json={})
            assert (promoted.status_code, promoted.json()["state"]) == (200, "stable")
        diff = await at.publisher.get("/v1/products/pub.bars/diff", params={"old": "1.0", "new": "1.1"})
        assert diff.json()["changed"] == 0
        back = await at.publisher.post("/v1/products/pub.bars/rollback", json={"reason": "a trial"})
        assert (back.status_code, back.json()["version"]) == (200, "1.0")
        retired = await at.publisher.post("/v1/products/pub.bars/retire", json={"version": "1.1"})
        assert retired.status_code == 200
        listed = (await at.publisher.get("/v1/products/pub.bars/versions")).json()["versions"]
        assert [each["state"] for each in listed] == ["retired", "stable"]

    play(any_home, scene)


def test_a_site_that_does_not_believe_the_publisher_ends_the_draft(any_home: Path) -> None:
    async def scene(at: Published) -> None:
        await at.publish(await at.job())
        command = await at.asked()
        assert (command.product, command.version, command.statement) == ("pub.bars", "1.0", "reads core")
        await at.core.decline(command, AuthorityRefused(site="core", reason="it is forged"))
        view = await at.look("1.0", wait_s=20)
        assert view.problem is not None
        assert (view.state, view.problem.code) == ("failed", "authority_refused")

    play(any_home, scene)


def test_an_answer_is_taken_from_the_site_that_was_asked_and_once(any_home: Path) -> None:
    async def scene(at: Published) -> None:
        users = await at.house.agent("users")
        await at.publish(await at.job())
        command = await at.asked()
        with pytest.raises(DatacanalError, match="There is no consent"):
            await users.consent(command, "granted")
        await at.core.consent(command, "refused")
        assert (await at.look("1.0", wait_s=20)).state == "failed"
        with pytest.raises(DatacanalError, match="There is no consent"):
            await at.core.consent(command, "granted")

    play(any_home, scene)


ROUTES = [
    ("GET", "", None),
    ("PATCH", "", {"title": "Mine"}),
    ("POST", "/versions", {"job": "job_1"}),
    ("GET", "/versions", None),
    ("GET", "/versions/1.0", None),
    ("GET", "/diff?old=1.0&new=1.0", None),
    ("POST", "/promote", {}),
    ("POST", "/rollback", {}),
    ("POST", "/retire", {}),
]


def test_what_belongs_to_another_tenant_or_is_private_does_not_exist(any_home: Path) -> None:
    async def scene(at: Published) -> None:
        await at.publish(await at.job())
        await at.ended("1.0")
        foreign, other = await foreign_admin(at.house), await at.house.caller("publisher", "other")
        for method, path, body in ROUTES:
            for stranger in (foreign, other):
                answer = await stranger.request(method, f"/v1/products/pub.bars{path}", json=body)
                assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), (method, path)
        assert (await foreign.get("/v1/products")).json() == {"products": []}
        assert (await foreign.post("/v1/products", json=BARS)).status_code == 201

    play(any_home, scene)


@pytest.mark.parametrize("role", ["analyst", "developer", "steward", "operator", "site"])
def test_who_only_reads_is_told_by_role_that_it_may_not_manage(any_home: Path, role: str) -> None:
    async def scene(at: Published) -> None:
        await at.publisher.patch("/v1/products/pub.bars", json={"visibility": "listed"})
        caller = await at.house.caller(role, "core" if role == "site" else "somebody")
        for method, path, body in ROUTES[1:]:
            answer = await caller.request(method, f"/v1/products/pub.bars{path}", json=body)
            assert (answer.status_code, answer.json()["code"]) == (403, "forbidden"), (method, path)
            assert f"The role {role!r} may not manage products" in answer.json()["detail"]
        seen = (await caller.get("/v1/products/pub.bars")).status_code
        assert seen == (403 if role in ("operator", "site") else 200)

    play(any_home, scene)


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("", {**BARS, "name": "Pub.bars"}, 400, "bad_field"),
        ("", {**BARS, "name": "pub"}, 400, "bad_field"),
        ("", {**BARS, "unknown": 1}, 400, "bad_field"),
        ("", BARS, 409, "product_exists"),
        ("", {**BARS, "readers": ["dev"]}, 400, "bad_field"),
        ("", {**BARS, "contract": {"key": ["n"], "columns": {"n": "NUMBER?"}}}, 422, "bad_contract"),
        ("/pub.bars/versions", {"job": "job_none"}, 404, "not_found"),
        ("/pub.bars/versions", {}, 400, "bad_field"),
        ("/pub.bars/promote", {"version": "9.9"}, 404, "version_not_found"),
        ("/pub.bars/promote", {}, 404, "no_version"),
        ("/pub.bars/promote", {"share": 2}, 400, "bad_field"),
        ("/pub.bars/rollback", {}, 404, "no_version"),
        ("/pub.nothing/promote", {}, 404, "not_found"),
    ],
)
def test_bad_input_is_told_by_code(any_home: Path, path: str, body: object, status: int, code: str) -> None:
    async def scene(at: Published) -> None:
        answer = await at.publisher.post(f"/v1/products{path}", json=body)
        assert (answer.status_code, answer.json()["code"]) == (status, code)
        assert answer.json()["remedy"]

    play(any_home, scene)
