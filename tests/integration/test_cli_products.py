"""`datacanal product create|update|show` against a control plane: what is not given stays as it was."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from datacanal.cli.main import run
from datacanal.protocol.public import TokenRequest
from datacanal.testing.control_house import control_house

Command = Callable[..., Awaitable[int]]
CREATE = ("create", "quotes.bars", "--key", "k", "--session", "d", "--calendar", "XSHG", "--fresh", "2",
          "--not-null", "k", "--reader", "group:quants", "--title", "日线", "--open-sample")  # fmt: skip


@pytest.fixture
def play(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[Command], Awaitable[None]]], None]:
    """Run a scene of `datacanal product` commands, as a publisher who has made quotes.bars."""

    async def whole(scene: Callable[[Command], Awaitable[None]]) -> None:
        async with control_house(tmp_path) as house:
            admin = await house.admin()
            token = TokenRequest(name="pub", role="publisher").model_dump(mode="json", exclude_none=True)
            monkeypatch.setenv("DATACANAL_TOKEN", (await admin.post("/v1/tokens", json=token)).json()["secret"])
            monkeypatch.setenv("DATACANAL_URL", house.url)

            async def command(*arguments: str) -> int:
                return await asyncio.to_thread(run, ["product", *arguments])

            assert await command(*CREATE) == 0
            await scene(command)

    return lambda scene: asyncio.run(whole(scene))


def shown(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    out = capsys.readouterr().out
    found = json.loads(out[out.index("{") :])
    assert isinstance(found, dict)
    return found


def test_an_update_changes_what_is_given_and_nothing_else(play: Any, capsys: pytest.CaptureFixture[str]) -> None:
    async def scene(command: Command) -> None:
        assert await command("show", "quotes.bars", "--json") == 0
        before = shown(capsys)
        assert (
            await command("update", "quotes.bars", "--drift", "0.5", "--sample-rows", "3", "--keep", "5", "--json") == 0
        )
        after = shown(capsys)
        expected = {
            **before, "contract": {**before["contract"], "drift": 0.5}, "sample": {"rows": 3, "open": True}, "keep": 5,
        }  # fmt: skip
        assert after == expected

    play(scene)


def test_the_empty_text_and_the_any_options_take_away(play: Any, capsys: pytest.CaptureFixture[str]) -> None:
    async def scene(command: Command) -> None:
        gone = ("--calendar", "", "--session", "", "--not-null", "", "--reader", "", "--any-age", "--any-drift")
        assert await command("update", "quotes.bars", *gone, "--closed-sample", "--json") == 0
        after = shown(capsys)
        contract = {"key": ["k"], "columns": None, "not_null": [], "session": None, "calendar": None, "drift": None}
        assert after["contract"] == {**contract, "freshness": None}
        assert (after["readers"], after["sample"]["open"], after["title"]) == ([], False, "日线")

    play(scene)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("update", "quotes.bars"), "give at least one option"),
        (("update", "quotes.bars", "--drift", "1", "--any-drift"), "give one of --drift and --any-drift"),
        (("update", "quotes.bars", "--key", ""), "contract.key: at least 1 must be given"),
        (("update", "quotes.bars", "--session", ""), "contract.calendar: needs `session`"),
        (("update", "quotes.bars", "--reader", "quants"), "group:NAME or principal:NAME is needed"),
        (("update", "quotes.bars", "--visibility", "open"), "'private', 'listed' or 'internal'"),
        (("update", "quotes.none", "--keep", "3"), "There is no product 'quotes.none'"),
        (("create", "quotes", "--key", "k"), "name: publisher.product is needed"),
    ],
)
def test_what_cannot_be_is_told_and_changes_nothing(
    play: Any, arguments: tuple[str, ...], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    async def scene(command: Command) -> None:
        assert await command(*arguments) == 2
        assert says in capsys.readouterr().err

    play(scene)
