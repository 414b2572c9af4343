"""`datacanal account webhook` against a gateway."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.integration.developers import Town, played
from tests.integration.test_cli_accounts import Terminal


def test_a_webhook_is_set_tried_shown_and_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def scene(town: Town) -> None:
        terminal = Terminal(town, capsys, monkeypatch)
        terminal.of("dev")
        account = (await terminal.command("account", "create", "Dev Ltd"))[0].strip()
        said, words = await terminal.command("account", "webhook", "set", account, "https://no-such-name.invalid/x")
        assert said.startswith("whsec_")
        assert "is not shown again" in words
        assert said.strip() not in words
        # The gateway of this test logs into the same output.
        noted = re.search(r"(ntc_\w+) is sent", (await terminal.command("account", "webhook", "test", account))[0])
        assert noted is not None
        shown, _ = await terminal.command("account", "webhook", "show", account)
        assert re.search(rf"{noted[1]} +webhook\.test", shown)
        assert "https://no-such-name.invalid/x" in shown
        await terminal.command("account", "webhook", "remove", account)
        assert "(none)" in (await terminal.command("account", "webhook", "show", account))[0]

    played(tmp_path, scene)


def test_what_is_wrong_is_said_with_its_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def scene(town: Town) -> None:
        terminal = Terminal(town, capsys, monkeypatch)
        terminal.of("dev")
        account = (await terminal.command("account", "create", "Dev Ltd"))[0].strip()
        _, words = await terminal.command("account", "webhook", "set", account, "https://10.0.0.1/", code=2)
        assert "its host 10.0.0.1 is not a public address" in words
        _, words = await terminal.command("account", "webhook", "test", account, code=2)
        assert "There is no webhook of the account" in words
        terminal.of("eve")
        _, words = await terminal.command("account", "webhook", "show", account, code=2)
        assert f"There is no account {account!r}" in words

    played(tmp_path, scene)
