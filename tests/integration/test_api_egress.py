"""What users read of sites' records, and of what attempts said, over real HTTP."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from datacanal.domain.errors import ConversionFailed, LogsRefused, RemoteError, StepRefused
from datacanal.protocol.authority import Authority, read_body
from datacanal.protocol.problem import problem_of
from datacanal.protocol.site import EgressNote, Lease, LogCommand
from datacanal.protocol.words import AttemptWords, SiteWords
from datacanal.testing.agent_fake import ScriptedAgent
from datacanal.testing.control_house import ControlHouse, control_house

Scene = Callable[[ControlHouse, httpx.AsyncClient], Awaitable[None]]
RELEASED = EgressNote(
    seq=7,
    hash="a" * 64,
    at_ms=1_900_000_000_000,
    decision="released",
    kind="transfer",
    step="scan",
    receivers=["core"],
    policies={"people": "d" * 64},
    rows=1200,
    bytes=100,
    digest="e" * 64,
    withheld_groups=3,
)
REFUSED = RELEASED.model_copy(
    update={"seq": 6, "decision": "refused", "reason": "step_refused: no", "at_ms": 1_800_000}
)
KEPT = LogsRefused(site="core", job="job_1", reason="the policy of lake 't' does not let logs out")


def play(home: Path, scene: Scene) -> None:
    async def run() -> None:
        async with control_house(home) as house:
            await scene(house, await house.admin())

    asyncio.run(run())


async def submitted(http: httpx.AsyncClient, sql: str) -> str:
    return str((await http.post("/v1/jobs", json={"sql": sql, "purpose": "fraud"})).json()["id"])


def test_a_user_reads_what_sites_let_out_and_refused_for_the_job(tmp_path: Path) -> None:
    async def scene(house: ControlHouse, admin: httpx.AsyncClient) -> None:
        core, users = await house.agent("core"), await house.agent("users")
        ana = await house.caller("analyst", "ana")
        job = await submitted(ana, "across users core")
        await users.finish(await users.lease(), withheld_groups=3, egress=[REFUSED, RELEASED])
        result = RELEASED.model_copy(update={"seq": 2, "kind": "result", "at_ms": RELEASED.at_ms + 5})
        await core.finish(await core.lease(), egress=[result])
        told = (await ana.get(f"/v1/jobs/{job}/egress")).json()
        assert [(entry["site"], entry["seq"], entry["decision"]) for entry in told["entries"]] == [
            ("users", 6, "refused"),
            ("users", 7, "released"),
            ("core", 2, "released"),
        ]
        assert told["entries"][1] == {
            "site": "users",
            "at": "2030-03-17T17:46:40Z",
            **RELEASED.model_dump(exclude={"at_ms"}),
        }
        view = (await ana.get(f"/v1/jobs/{job}")).json()
        assert view["stats"]["withheld_groups"] == view["result"]["withheld_groups"] == 3
        steward = await house.caller("steward", "sam")
        assert (await steward.get(f"/v1/jobs/{job}/egress")).status_code == 403
        assert (await admin.get(f"/v1/jobs/{job}/egress")).json() == told

    play(tmp_path, scene)


def test_what_several_attempts_tell_of_one_entry_is_one_entry(tmp_path: Path) -> None:
    async def scene(house: ControlHouse, admin: httpx.AsyncClient) -> None:
        core = await house.agent("core")
        job = await submitted(admin, "at core")
        lost = RemoteError(
            code="attempt_lost", kind=ConversionFailed.kind, detail="", remedy="", retriable=True, data={}
        )
        await core.fail(await core.lease(), lost, egress=[REFUSED])
        lease = await core.lease()
        await core.fail(lease, StepRefused(site="core", reason="x", hint=""), egress=[REFUSED, RELEASED])
        told = (await admin.get(f"/v1/jobs/{job}/egress")).json()
        assert [entry["seq"] for entry in told["entries"]] == [6, 7]
        view = (await admin.get(f"/v1/jobs/{job}")).json()
        assert (view["state"], view["stats"]["withheld_groups"]) == ("failed", 0)

    play(tmp_path, scene)


def test_a_step_that_was_cancelled_still_tells_what_its_site_let_out(tmp_path: Path) -> None:
    async def scene(house: ControlHouse, admin: httpx.AsyncClient) -> None:
        core = await house.agent("core")
        job = await submitted(admin, "at core")
        lease = await core.lease()
        await admin.post(f"/v1/jobs/{job}/cancel")
        await core.fail(lease, StepRefused(site="core", reason="it was stopped", hint=""))
        await core.fail(lease, StepRefused(site="core", reason="it was stopped", hint=""), egress=[RELEASED])
        told = (await admin.get(f"/v1/jobs/{job}/egress")).json()
        assert [entry["seq"] for entry in told["entries"]] == [7]

    play(tmp_path, scene)


# ---------------------------------------------------------------- words


async def failed_at_core(house: ControlHouse, http: httpx.AsyncClient) -> tuple[str, ScriptedAgent, Lease]:
    core = await house.agent("core")
    job = await submitted(http, "at core")
    lease = await core.lease()
    await core.fail(lease, ConversionFailed())
    return job, core, lease


async def asked(agent: ScriptedAgent) -> LogCommand:
    while True:
        for command in (await agent.poll()).commands:
            if isinstance(command, LogCommand):
                return command


def verified(house: ControlHouse, command: LogCommand) -> Authority:
    body, _, signature = command.authority.partition(".")
    key = Ed25519PublicKey.from_public_bytes(base64.b64decode(house.plane.issuer.public))
    key.verify(base64.urlsafe_b64decode(signature), body.encode())
    return read_body(body)


def test_logs_tell_code_and_time_and_no_words(tmp_path: Path) -> None:
    async def scene(house: ControlHouse, admin: httpx.AsyncClient) -> None:
        job, _, _ = await failed_at_core(house, admin)
        (attempt,) = (await admin.get(f"/v1/jobs/{job}/logs")).json()["attempts"]
        assert attempt["problem"]["code"] == "conversion_failed"
        assert attempt["finished_at"] is not None
        assert (attempt["said"], attempt["cut"], attempt["kept"]) == ("", False, None)

    play(tmp_path, scene)


def test_words_come_from_their_site_which_learns_who_asks(tmp_path: Path) -> None:
    async def scene(house: ControlHouse, admin: httpx.AsyncClient) -> None:
        ana = await house.caller("analyst", "ana")
        sam = await house.caller("steward", "sam")
        job, core, lease = await failed_at_core(house, ana)
        for http, name, role in ((ana, "ana", "analyst"), (sam, "sam", "steward")):
            answer = asyncio.create_task(http.get(f"/v1/jobs/{job}/logs", params={"text": "true"}))
            command = await asked(core)
            authority = verified(house, command)
            assert (authority.job, authority.principal, authority.role) == (job, name, role)
            assert (authority.audience, authority.plan, authority.purpose) == ("core", lease.plan_digest, "fraud")
            words = AttemptWords(step=lease.step, fence=lease.fence, said="Could not convert 'é'", cut=True)
            await core.say(command, SiteWords(attempts=[words]))
            (attempt,) = (await answer).json()["attempts"]
            assert (attempt["said"], attempt["cut"]) == ("Could not convert 'é'", True)

    play(tmp_path, scene)


def test_a_site_that_keeps_its_words_is_told_with_its_own_code(tmp_path: Path) -> None:
    async def scene(house: ControlHouse, admin: httpx.AsyncClient) -> None:
        job, core, _ = await failed_at_core(house, admin)
        answer = asyncio.create_task(admin.get(f"/v1/jobs/{job}/logs?text=true"))
        await core.refuse(await asked(core), KEPT)
        assert ((await answer).status_code, (await answer).json()["code"]) == (403, "logs_refused")

    play(tmp_path, scene)


def test_where_one_site_lets_words_out_the_other_s_refusal_stands_with_its_attempt(tmp_path: Path) -> None:
    async def scene(house: ControlHouse, admin: httpx.AsyncClient) -> None:
        core, users = await house.agent("core"), await house.agent("users")
        job = await submitted(admin, "across users core")
        scan = await users.lease()
        await users.run(scan)
        query = await core.lease()
        await core.fail(query, ConversionFailed())
        answer = asyncio.create_task(admin.get(f"/v1/jobs/{job}/logs?text=true"))
        kept = AttemptWords(step=query.step, fence=query.fence, kept=problem_of(KEPT))
        await core.say(await asked(core), SiteWords(attempts=[kept]))
        await users.refuse(await asked(users), KEPT)
        attempts = {attempt["site"]: attempt for attempt in (await answer).json()["attempts"]}
        assert attempts["core"]["kept"]["code"] == attempts["users"]["kept"]["code"] == "logs_refused"

    play(tmp_path, scene)


def test_an_answer_that_is_none_is_not_taken_for_words(tmp_path: Path) -> None:
    async def scene(house: ControlHouse, admin: httpx.AsyncClient) -> None:
        job, core, _ = await failed_at_core(house, admin)
        answer = asyncio.create_task(admin.get(f"/v1/jobs/{job}/logs?text=true"))
        command = await asked(core)

        async def nonsense() -> object:
            yield b"{}"

        await core.send(command, nonsense(), length=2, digest="0" * 64)  # type: ignore[arg-type]  # an async generator
        assert ((await answer).status_code, (await answer).json()["code"]) == (503, "service_busy")

    play(tmp_path, scene)
