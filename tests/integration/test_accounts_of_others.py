"""What belongs to somebody else does not exist, and the book of a home holds nothing to call by."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from tests.integration.developers import ACCOUNTS, KEYS, SUBSCRIPTIONS, Town, a_key, made, played, subscribed
from tests.integration.gateway_scene import told

from datacanal.ledger.models import TABLES
from datacanal.ledger.store import open_ledger


async def owned_ids(town: Town) -> list[str]:
    """The addresses of everything that a developer of the first tenant has."""
    dev = town.enter("dev")
    key = (await a_key(dev))["key"]
    [account] = (await dev.get(ACCOUNTS)).json()["accounts"]
    waiting = await subscribed(dev, "pub.listed", 202)
    kept = (f"{SUBSCRIPTIONS}/{each}" for each in (waiting, key["subscription"]))
    return [f"{ACCOUNTS}/{account['id']}", f"{KEYS}/{key['id']}", *kept]


VERBS: tuple[tuple[str, str, dict[str, Any] | None], ...] = (
    ("GET", "", None),
    ("PATCH", "", {"name": "mine"}),
    ("DELETE", "", None),
    ("POST", "/close", None),
    ("POST", "/rotate", {}),
    ("POST", "/approve", {}),
    ("POST", "/refuse", {"reason": "no"}),
    ("POST", "/end", None),
)


def test_what_belongs_to_somebody_else_does_not_exist(tmp_path: Path, any_database: str) -> None:
    async def scene(town: Town) -> None:
        paths = await owned_ids(town)
        strangers = [
            town.enter("mallory"),
            town.enter("mallory", "publisher"),
            town.enter("dev", tenant="other"),
            town.enter("root", "admin", tenant="other"),
            town.enter("ann", "publisher", tenant="other"),
        ]
        before = await contents(town, *OWN)
        asked = 0
        for stranger in strangers:
            for path in paths:
                for method, verb, body in VERBS:
                    answer = await stranger.request(method, path + verb, json=body)
                    # A developer may decide on no subscription, whosever it is; 405: there is no such route at all.
                    assert answer.status_code in ((403, 404, 405) if verb in ("/approve", "/refuse") else (404, 405))
                    asked += answer.status_code == 404
            body = {"subscription": paths[-1].rpartition("/")[2]}
            assert await told(stranger, KEYS, method="POST", json=body) == (404, "not_found")
            query = f"?subscription={body['subscription']}"
            assert await told(stranger, KEYS + query) == (404, "not_found")
            account = paths[0].rpartition("/")[2]
            ask = {"product": "pub.internal", "account": account}
            assert await told(stranger, SUBSCRIPTIONS, method="POST", json=ask) == (404, "not_found")
            for path, kind in ((ACCOUNTS, "accounts"), (SUBSCRIPTIONS, "subscriptions"), (KEYS, "keys")):
                assert (await stranger.get(path)).json()[kind] == []
        assert asked > 100
        assert await contents(town, *OWN) == before

    played(tmp_path, scene, database=any_database)


@pytest.mark.parametrize("name", ["%00", "%ff", "%ED%A0%80", "é", "x" * 5000, "' OR 1=1 --"])
def test_a_text_that_is_no_id_is_not_found(tmp_path: Path, name: str) -> None:
    async def scene(town: Town) -> None:
        for path in (ACCOUNTS, SUBSCRIPTIONS, KEYS):
            assert await told(town.enter("root", "admin"), f"{path}/{name}") == (404, "not_found")

    played(tmp_path, scene)


def test_operators_stewards_and_nobody_have_no_account(tmp_path: Path) -> None:
    async def scene(town: Town) -> None:
        for role in ("operator", "steward"):
            assert await told(town.enter("x", role), ACCOUNTS) == (403, "forbidden")
        assert await told(town.by(None), ACCOUNTS) == (401, "unauthenticated")
        assert await told(town.by("dct_a_b"), ACCOUNTS) == (401, "unauthenticated")

    played(tmp_path, scene)


def test_a_dump_of_the_database_holds_no_usable_key(
    tmp_path: Path, any_database: str, capfd: pytest.CaptureFixture[str]
) -> None:
    async def scene(town: Town) -> None:
        dev = town.enter("dev")
        new = await a_key(dev, mode="test")
        rotated = await made(dev, f"{KEYS}/{new['key']['id']}/rotate")
        for secret in (new["secret"], rotated["secret"]):
            wrong = await town.by(secret[:-1]).get(ACCOUNTS)
            inner = secret.split("_")[3]
            said = capfd.readouterr()
            everywhere = await contents(town) + wrong.text + said.out + said.err
            assert secret not in everywhere
            assert inner[:20] not in everywhere
            assert secret.split("_")[2] in await contents(town)

    played(tmp_path, scene, database=any_database)


OWN = ("accounts", "subscriptions", "keys", "changes")


async def contents(town: Town, *names: str) -> str:
    """The tables of the book, or those of these names, as text."""
    store = open_ledger(town.home.home, town.home.database)
    with store.reading() as connection:
        named = [table for table in TABLES.sorted_tables if table.name in (names or TABLES.tables)]
        tables = [f"{table}: {connection.execute(select(table)).all()}" for table in named]
    store.close()
    return "\n".join(tables)
