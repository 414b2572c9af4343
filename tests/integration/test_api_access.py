"""Who may call, and what bad input gets: tokens, roles, tenants, sessions, bodies, queries."""

from __future__ import annotations

import asyncio
import stat
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx
import pytest
from sqlalchemy import select

from datacanal.control.clock import SystemClock
from datacanal.control.store.opening import open_store
from datacanal.control.tokens import new_token
from datacanal.domain.access import Principal
from datacanal.domain.errors import DatacanalError
from datacanal.protocol.catalogue import DatasetReport
from datacanal.protocol.public import TokenRequest
from datacanal.state.tables import TABLES
from datacanal.testing.control_house import ControlHouse, control_house, database_of

Scene = Callable[[ControlHouse, httpx.AsyncClient], Awaitable[None]]


def play(home: Path, scene: Scene) -> None:
    async def run() -> None:
        async with control_house(home) as house:
            await scene(house, await house.admin())

    asyncio.run(run())


def test_every_missing_wrong_expired_or_revoked_token_is_refused_with_its_reason(any_home: Path) -> None:
    async def scene(house: ControlHouse, admin: httpx.AsyncClient) -> None:
        expired = {"name": "old", "role": "analyst", "expires": "2020-01-01T00:00:00Z"}
        old = (await admin.post("/v1/tokens", json=expired)).json()["secret"]
        made = (await admin.post("/v1/tokens", json={"name": "eva", "role": "analyst"})).json()
        assert (await (await house.client(made["secret"])).get("/v1/jobs")).status_code == 200
        await admin.delete(f"/v1/tokens/{made['token']['id']}")
        wrong = made["secret"][:-1] + ("0" if made["secret"][-1] != "0" else "1")
        reasons = {None: "missing", "nonsense": "wrong", wrong: "wrong", old: "expired", made["secret"]: "revoked"}
        for secret, reason in reasons.items():
            answer = await (await house.client(secret)).get("/v1/jobs")
            assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")
            assert reason in answer.json()["detail"]
            assert answer.headers["WWW-Authenticate"] == "Bearer"

    play(any_home, scene)


@pytest.mark.parametrize(
    ("path", "status"),
    [("/v1/jobs/a%00b", 404), ("/v1/products/pub.a%00", 404), ("/v1/schedules/%00", 404), ("/v1/jobs?after=%00", 400)],
)
def test_no_text_of_a_database_is_asked_for_a_nul(any_home: Path, path: str, status: int) -> None:
    async def scene(_house: ControlHouse, admin: httpx.AsyncClient) -> None:
        assert (await admin.get(path)).status_code == status

    play(any_home, scene)


def test_a_secret_is_shown_once_and_kept_nowhere(any_home: Path) -> None:
    async def scene(house: ControlHouse, admin: httpx.AsyncClient) -> None:
        secret = (await admin.post("/v1/tokens", json={"name": "eva", "role": "analyst"})).json()["secret"]
        assert secret not in (await admin.get("/v1/tokens")).text
        secrets.append(secret)

    secrets: list[str] = []
    play(any_home, scene)
    stored = b"".join(file.read_bytes() for file in any_home.rglob("control.sqlite*"))
    assert secrets[0].encode() not in stored
    assert secrets[0] not in str(_rows(any_home))


def _rows(home: Path) -> list[object]:
    """Everything that is in the state store."""
    store = open_store(home, SystemClock(), database_of(home))
    with store.reader.connect() as connection:
        rows = [row for table in TABLES.sorted_tables for row in connection.execute(select(table))]
    store.dispose()
    assert any("eva" in row for row in rows)
    return rows


def test_the_first_start_leaves_private_tokens_that_later_starts_keep(any_home: Path) -> None:
    files = [any_home / "admin.token", any_home / "sites" / "core" / "token", any_home / "sites" / "users" / "token"]
    found: list[list[str]] = []

    async def scene(house: ControlHouse, admin: httpx.AsyncClient) -> None:
        assert all(stat.S_IMODE(file.stat().st_mode) == 0o600 for file in files)
        assert stat.S_IMODE(files[1].parent.stat().st_mode) == 0o700
        found.append([file.read_text() for file in files])

    play(any_home, scene)
    play(any_home, scene)
    assert found[0] == found[1]


@pytest.mark.parametrize(
    ("role", "method", "path", "status"),
    [
        ("operator", "GET", "/v1/jobs", 403),
        ("operator", "GET", "/v1/datasets", 403),
        ("operator", "GET", "/v1/sites", 200),
        ("steward", "GET", "/v1/datasets", 200),
        ("steward", "GET", "/v1/jobs", 403),
        ("developer", "GET", "/v1/jobs", 403),
        ("analyst", "GET", "/v1/tokens", 403),
        ("analyst", "GET", "/v1/jobs", 200),
        ("site", "GET", "/v1/jobs", 403),
        ("site", "POST", "/v1/site/poll", 404),
        ("admin", "POST", "/v1/site/hello", 404),
    ],
)
def test_a_role_may_do_what_it_is_for_and_nothing_else(
    any_home: Path, role: str, method: str, path: str, status: int
) -> None:
    async def scene(house: ControlHouse, admin: httpx.AsyncClient) -> None:
        caller = await house.caller(role, "somebody")
        assert (await caller.request(method, path)).status_code == status

    play(any_home, scene)


def test_an_operator_makes_tokens_for_sites_but_none_that_reaches_data(any_home: Path) -> None:
    async def scene(house: ControlHouse, admin: httpx.AsyncClient) -> None:
        operator = await house.caller("operator", "op")
        assert (await operator.post("/v1/tokens", json={"name": "x", "role": "site"})).status_code == 201
        assert (await operator.post("/v1/tokens", json={"name": "x", "role": "analyst"})).status_code == 403

    play(any_home, scene)


def test_what_belongs_to_somebody_else_does_not_exist(any_home: Path) -> None:
    async def scene(house: ControlHouse, admin: httpx.AsyncClient) -> None:
        ana, ben = await house.caller("analyst", "ana"), await house.caller("analyst", "ben")
        stranger = await house.client(await foreign_token(house))
        await house.agent("core")
        job = (await ana.post("/v1/jobs", json={"sql": "at core"})).json()["id"]
        for path in ("", "/logs", "/logs?text=true", "/egress", "/events", "/result"):
            for other in (ben, stranger):
                assert (await other.get(f"/v1/jobs/{job}{path}")).status_code == 404
        for action in ("cancel", "retry"):
            for other in (ben, stranger):
                assert (await other.post(f"/v1/jobs/{job}/{action}")).status_code == 404
        assert (await ben.get("/v1/jobs")).json()["jobs"] == (await stranger.get("/v1/jobs")).json()["jobs"] == []
        assert (await admin.get(f"/v1/jobs/{job}")).status_code == 200
        assert (await stranger.get("/v1/sites")).json() == {"sites": []}
        assert (await stranger.get("/v1/lakes")).json() == {"lakes": []}
        token = (await admin.get("/v1/tokens")).json()["tokens"][0]["id"]
        assert (await stranger.delete(f"/v1/tokens/{token}")).status_code == 404

    play(any_home, scene)


async def foreign_token(house: ControlHouse) -> str:
    """An admin of another tenant."""
    desk = house.plane.desk
    request = TokenRequest(name="root", role="admin")
    row, secret = new_token(desk.clock, Principal("other", "root", "admin"), request, house.plane.door.fingerprint)
    await desk.write(lambda change: change.session.add(row))
    house.plane.tokens.load()
    return secret


def test_a_site_speaks_for_itself_only(any_home: Path) -> None:
    async def scene(house: ControlHouse, admin: httpx.AsyncClient) -> None:
        core, users = await house.agent("core"), await house.agent("users")
        core.session, session = users.session, core.session
        with pytest.raises(DatacanalError) as lost:
            await core.poll(wait_s=0)
        assert lost.value.code == "session_lost"
        core.session, core.site = session, "users"
        with pytest.raises(DatacanalError) as refused:
            await core.hello()
        assert refused.value.code == "forbidden"
        core.site = "core"
        core.datasets = [DatasetReport(lake="lake_users", name="people", columns=[], snapshot=None)]
        with pytest.raises(DatacanalError, match="belongs to site 'users'"):
            await core.hello()

    play(any_home, scene)


def test_a_replaced_session_is_told_so(any_home: Path) -> None:
    async def scene(house: ControlHouse, admin: httpx.AsyncClient) -> None:
        old = await house.agent("core", boot="boot1")
        await house.agent("core", boot="boot2")
        for call in (old.heartbeat, old.poll):
            with pytest.raises(DatacanalError) as lost:
                await call()
            assert lost.value.code == "session_lost"

    play(any_home, scene)


def test_a_poll_that_was_open_when_its_session_was_replaced_gets_no_work(any_home: Path) -> None:
    async def scene(house: ControlHouse, admin: httpx.AsyncClient) -> None:
        old = await house.agent("core", boot="boot1")
        polling = asyncio.create_task(old.poll())
        new = await house.agent("core", boot="boot2")
        with pytest.raises(DatacanalError) as lost:
            await polling
        assert lost.value.code == "session_lost"
        job = (await admin.post("/v1/jobs", json={"sql": "at core"})).json()["id"]
        assert (await new.lease()).job == job

    play(any_home, scene)


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        (b'{"sql": NaN}', 400, "NaN"),
        (b'{"sql": "x", "params": {"a": Infinity}}', 400, "Infinity"),
        (b'{"sql": "x", "params": {"a": 1e999}}', 400, "out of range"),
        (b'{"sql": "a", "sql": "b"}', 400, "twice"),
        (b'{"sql": "\\u0000"}', 400, "NUL"),
        (b'{"sql": "\\ud800"}', 400, "surrogate"),
        (b'{"sql": "' + bytes([0xFF]) + b'"}', 400, "UTF-8"),
        (b'{"params": {"a": ' + b"[" * 200 + b"]" * 200 + b"}}", 400, "deeper than 100"),
        (b'{"params": {"a": ' + b"9" * 5000 + b"}}", 400, "digits"),
        (b'{"sql": "x"', 400, "not JSON"),
        (b"", 400, "not JSON"),
        (b"[]", 400, "body"),
        (b'{"sql": "x", "colour": "blue"}', 400, "colour: this field is not known"),
        (b'{"sql": 5}', 400, "sql"),
        (b'{"sql": "x", "timeouts": {"run_timeout_s": -1}}', 400, "timeouts.run_timeout_s"),
        (b'{"sql": "x", "timeouts": {"run_timeout_s": 1e9}}', 422, "timeouts.run_timeout_s"),
        (b'{"sql": "x", "params": {"a": "' + b"y" * 2**20 + b'"}}', 413, "1048576"),
    ],
)
def test_a_body_that_is_wrong_is_refused_naming_what_is_wrong(
    any_home: Path, body: bytes, status: int, says: str
) -> None:
    async def scene(house: ControlHouse, admin: httpx.AsyncClient) -> None:
        answer = await admin.post("/v1/jobs", content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code == status
        assert says in answer.json()["detail"]
        assert answer.json()["remedy"]
        assert (await admin.get("/v1/jobs")).json()["jobs"] == []

    play(any_home, scene)


def test_requests_that_do_not_fit_are_problems_too(any_home: Path) -> None:
    async def scene(house: ControlHouse, admin: httpx.AsyncClient) -> None:
        for method, path, code in (
            ("GET", "/v1/nothing", "not_found"),
            ("PATCH", "/v1/jobs", "method_not_allowed"),
            ("GET", "/v1/jobs?limitt=3", "bad_field"),
            ("GET", "/v1/jobs?limit=3&limit=4", "bad_field"),
            ("GET", "/v1/jobs?limit=many", "bad_field"),
            ("GET", "/v1/jobs/job_x?wait_s=nan", "bad_field"),
            ("GET", "/v1/health?x=1", "bad_field"),
        ):
            answer = await admin.request(method, path)
            assert (answer.json()["code"], answer.headers["content-type"]) == (code, "application/problem+json")
        text = await admin.post("/v1/jobs", content=b"{}", headers={"Content-Type": "text/plain"})
        assert (text.status_code, text.json()["code"]) == (415, "media_type_not_supported")

    play(any_home, scene)
