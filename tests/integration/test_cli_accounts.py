"""`datacanal account|subscription|key|login` against a gateway: secrets on stdout alone, words on stderr."""

from __future__ import annotations

import asyncio
import json
import os
import stat
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from tests.integration import test_sign_in
from tests.integration.developers import Town, played

from datacanal.cli.main import run
from datacanal.ledger.keys import parsed
from datacanal.testing.identity_provider import IdentityProvider

BROWSER = "import sys, httpx; print(httpx.get(sys.argv[1], follow_redirects=True, trust_env=False).status_code)"

REFUSED = [
    (("subscription", "create", "pub.nothing"), 2, "There is no product 'pub.nothing'"),
    (("subscription", "create", "nothing"), 2, "product"),
    (("subscription", "create", "pub.internal", "--tariff", "gold"), 2, "no tariff 'gold'"),
    (("subscription", "approve", "sub_x", "--quota", "rows=many"), 2, "is not like rows=5000000/day"),
    (("subscription", "approve", "sub_x", "--quota", "rows=9999999999999999999/day"), 2, "quotas.0.amount"),
    (("subscription", "approve", "sub_x", "--burst", "50"), 2, "50/1s"),
    (("subscription", "list", "--state", "lost"), 2, "state"),
    (("key", "create", "pub.internal"), 2, "there are 0 active subscriptions"),
    (("key", "create", "sub_x"), 2, "There is no subscription 'sub_x'"),
    (("key", "create", "sub_x", "--scope", "root"), 2, "scopes"),
    (("key", "rotate", "x", "--overlap", "soon"), 2, "--overlap"),
    (("key", "rotate", "x", "--overlap", "31d"), 2, "overlap_s"),
    (("key", "revoke", "x"), 2, "There is no key 'x'"),
    (("login", "--no-browser"), 2, "cannot sign in"),
]


class Terminal:
    """Commands of one person, and what they said."""

    def __init__(self, town: Town, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self._town = town
        self._capsys = capsys
        self._monkeypatch = monkeypatch
        monkeypatch.setenv("DATACANAL_GATEWAY", town.running.url)

    def of(self, name: str, role: str = "developer") -> None:
        """From now on commands are this person's."""
        self._monkeypatch.setenv("DATACANAL_TOKEN", self._town.home.token(name, role))

    async def command(self, *arguments: str, code: int = 0) -> tuple[str, str]:
        """Standard output and error of the command."""
        self._capsys.readouterr()
        found = await asyncio.to_thread(run, list(arguments))
        said = self._capsys.readouterr()
        assert found == code, said.err
        return said.out, said.err

    async def document(self, *arguments: str) -> Any:
        """What the command says as JSON."""
        return json.loads((await self.command(*arguments, "--json"))[0])


@pytest.fixture
def play(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[[Callable[[Terminal], Awaitable[None]]], None]:
    """Run a scene of commands."""
    return lambda scene: played(tmp_path, lambda town: scene(Terminal(town, capsys, monkeypatch)))


def test_a_developer_gets_to_a_key_and_ends_it(play: Any) -> None:
    async def scene(terminal: Terminal) -> None:
        terminal.of("dev")
        out, words = await terminal.command("subscription", "create", "pub.internal", "--purpose", "a model")
        subscription = out.strip()
        assert f"key create {subscription}" in words
        secret, words = await terminal.command("key", "create", "pub.internal", "--name", "laptop", "--expires", "30d")
        key = parsed(secret.strip())
        assert key.mode == "live"
        assert key.secret not in words
        assert key.id in words
        [shown] = await terminal.document("key", "list", "--subscription", subscription)
        assert (shown["id"], shown["name"], shown["last_four"]) == (key.id, "laptop", secret.strip()[-4:])
        table, _ = await terminal.command("key", "list")
        assert key.id in table
        assert key.secret not in table
        rotated, _ = await terminal.command("key", "rotate", key.id, "--overlap", "0s")
        assert parsed(rotated.strip()).id != key.id
        assert (await terminal.command("key", "revoke", parsed(rotated.strip()).id))[0].endswith("revoked\n")
        test, _ = await terminal.command("key", "create", subscription, "--test", "--scope", "sample")
        assert test.startswith("dck_test_")
        assert "pub.internal  ended" in (await terminal.command("subscription", "end", subscription))[0]

    play(scene)


def test_a_publisher_decides(play: Any) -> None:
    async def scene(terminal: Terminal) -> None:
        terminal.of("dev")
        out, words = await terminal.command("subscription", "create", "pub.listed")
        assert "waits for the publisher" in words
        terminal.of("ann", "publisher")
        [waiting] = await terminal.document("subscription", "list", "--state", "pending", "--product", "pub.listed")
        assert waiting["id"] == out.strip()
        quotas = ("--quota", "rows=1000/day", "--quota", "calls=10/hour:soft", "--burst", "5/2s")
        shown, _ = await terminal.command("subscription", "approve", waiting["id"], *quotas)
        assert "1,000 rows per day, 10 calls per hour (soft), 5 calls within 2 s" in shown
        table, _ = await terminal.command("subscription", "list")
        assert "active" in table
        await terminal.command("subscription", "refuse", waiting["id"], "--reason", "late", code=2)
        terminal.of("dev")
        assert "active" in (await terminal.command("subscription", "show", waiting["id"]))[0]

    play(scene)


def test_an_account_is_opened_shown_and_closed(play: Any) -> None:
    async def scene(terminal: Terminal) -> None:
        terminal.of("dev")
        account = (await terminal.command("account", "create", "Lab"))[0].strip()
        assert account in (await terminal.command("account", "show"))[0]
        assert (await terminal.command("account", "close"))[0] == f"{account} closed\n"
        [shown] = await terminal.document("account", "show")
        assert shown["closed_at"] is not None
        terminal.of("other")
        assert "account: there are 0" in (await terminal.command("account", "close", code=2))[1].lower()

    play(scene)


def test_what_cannot_be_is_told(play: Any) -> None:
    async def scene(terminal: Terminal) -> None:
        terminal.of("ann", "publisher")
        for arguments, code, says in REFUSED:
            out, words = await terminal.command(*arguments, code=code)
            assert says in words
            assert out == ""

    play(scene)


def test_login_keeps_a_token_for_its_own_gateway(tmp_path: Path) -> None:
    script = tmp_path / "browser.py"
    script.write_text(BROWSER)
    home = tmp_path / "person"

    async def scene(town: Town, provider: IdentityProvider) -> None:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("DATACANAL")}
        environment |= {"XDG_CONFIG_HOME": str(home), "DATACANAL_GATEWAY": town.running.url}
        environment |= {"BROWSER": f"{sys.executable} {script} %s"}

        async def command(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
            whole = [sys.executable, "-m", "datacanal.cli", *arguments]
            return await asyncio.to_thread(
                subprocess.run, whole, env={**environment, **more}, cwd=tmp_path, capture_output=True, text=True,
                check=False, timeout=60,
            )  # fmt: skip

        done = await command("login")
        assert done.returncode == 0, done.stderr
        file = home / "datacanal" / "sign-in.json"
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        token = json.loads(file.read_text())[town.running.url]["token"]
        assert "Signed in as May 梅" in done.stdout
        assert token not in done.stdout + done.stderr
        shown = await command("account", "show")
        assert "May 梅" in shown.stdout, shown.stderr
        elsewhere = await command("account", "show", DATACANAL_GATEWAY=provider.issuer)
        assert elsewhere.returncode != 0
        named = await command("account", "show", DATACANAL_TOKEN="dct_a_b")  # noqa: S106  # nobody's
        assert "the token is wrong" in named.stderr

    test_sign_in.played(tmp_path / "service", scene)
