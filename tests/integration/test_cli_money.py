"""`datacanal product tariff|usage|invoice` against a gateway."""

from __future__ import annotations

import csv
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.integration.developers import Town, played
from tests.integration.test_cli_accounts import Terminal
from tests.money import MoneyBook

TARIFF = """
name = "basic"
unit = "rows"
currency = "CNY"
flat = "100"
included = 1000
per = 1000

[[tiers]]
up_to = 10000
price = "2.5"

[[tiers]]
price = "1"
"""
WRONG = [
    ('name = "x"\ncurrency = "CNY"\nprice = "-1"', "bad_tariff: price:"),
    ('name = "x"\ncurrency = "DM"\nprice = "1"', "bad_tariff: currency:"),
    ('name = "x"\ncurrency = "CNY"\nprice = 0.1', "bad_tariff: price:"),
    ('name = "x"\ncurrency = "CNY"', "give either price or tiers"),
    ("name = ", "not valid TOML"),
]


class Clock:
    at = datetime(2026, 10, 15, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.at


@pytest.fixture
def play(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Run a scene of commands, with the town, its clock and a folder."""

    def run(scene: Callable[[Terminal, Town, Clock, Path], Awaitable[None]]) -> None:
        clock = Clock()
        played(tmp_path, lambda town: scene(Terminal(town, capsys, monkeypatch), town, clock, tmp_path), clock)

    return run


def test_from_a_tariff_to_a_credit_note(play: Any) -> None:
    async def scene(terminal: Terminal, town: Town, clock: Clock, folder: Path) -> None:
        file = folder / "tariff.toml"
        file.write_text(TARIFF.replace('\n[[tiers]]\nprice = "1"', '\n[[tiers]]\nup_to = "null"\nprice = "1"'))
        terminal.of("ann", "publisher")
        _, told = await terminal.command("product", "tariff", "add", "pub.internal", str(file), code=2)
        assert "bad_tariff: tiers.1.up_to:" in told
        file.write_text(TARIFF)
        out, _ = await terminal.command("product", "tariff", "add", "pub.internal", str(file))
        assert "100 CNY/month + 2.5 to 1 CNY per 1,000 rows, 1,000 included" in out
        terminal.of("dev")
        assert "basic" in (await terminal.command("product", "tariff", "list", "pub.internal"))[0]
        subscription = (await terminal.command("subscription", "create", "pub.internal", "--tariff", "basic"))[
            0
        ].strip()
        book = MoneyBook(town.home.home)
        receipt = book.use(subscription, 21_000, clock())
        out, _ = await terminal.command("usage")
        assert [line.split() for line in out.splitlines() if line.startswith("pub.internal")] == [
            ["pub.internal", "1", "21,000", "0", "B", "0", "ms", "21,000", "135.00", "CNY"]
        ]
        assert (await terminal.document("usage", "--by", "day", "--period", "2026-10"))["total"]["units"] == 21_000
        assert "135.00" in (await terminal.command("invoice", "show", "preview"))[0]
        terminal.of("root", "admin")
        clock.at = datetime(2026, 11, 2, tzinfo=UTC)
        assert "period_open" in (await terminal.command("invoice", "close", "2026-11", code=2))[1]
        out, told = await terminal.command("invoice", "close", "2026-10")
        assert "2026-10 is closed: 1 invoice" in told
        assert "INV-2026-10-000001" in out
        terminal.of("dev")
        out, _ = await terminal.command("invoice", "show", "INV-2026-10-000001")
        assert "2.5 per 1,000" in out
        assert await exported(terminal, folder) == ["100.00", "0.00", "25.00", "10.00"]
        terminal.of("ann", "publisher")
        credit = ("invoice", "credit", "INV-2026-10-000001", "--reason", "wrong rows")
        assert "nothing_to_credit" in (await terminal.command(*credit, code=2))[1]
        book.adjust(receipt, -10_000, clock())
        book.store.close()
        out, _ = await terminal.command(*credit)
        assert "credit note CRN-2026-11-000001 of 2026-10 to INV-2026-10-000001: wrong rows" in out
        assert "-10.00" in out
        assert len(await terminal.document("invoice", "list")) == 2
        of_product = await terminal.document("usage", "--of-product", "pub.internal", "--period", "2026-10")
        assert of_product["money"] == [{"currency": "CNY", "amount": "125.00"}]
        assert "withdrawn" in (await terminal.command("product", "tariff", "withdraw", "pub.internal", "basic"))[0]

    play(scene)


async def exported(terminal: Terminal, folder: Path) -> list[str]:
    """The amounts of the lines, by the CSV; the other files say the same."""
    for name in ("i.json", "i.csv", "i.html"):
        await terminal.command("invoice", "export", "INV-2026-10-000001", "-o", str(folder / name))
    amounts = [line["amount"] for line in json.loads((folder / "i.json").read_text())["lines"]]
    assert [row["amount"] for row in csv.DictReader((folder / "i.csv").read_text().splitlines())] == amounts
    assert all(each in (folder / "i.html").read_text() for each in amounts)
    _, told = await terminal.command("invoice", "export", "INV-2026-10-000001", "-o", str(folder / "i.pdf"), code=2)
    assert "none of .json, .csv and .html" in told
    return amounts


def test_what_is_wrong_with_a_tariff_is_told_before_it_is_sent(play: Any) -> None:
    async def scene(terminal: Terminal, _town: Town, _clock: Clock, folder: Path) -> None:
        terminal.of("ann", "publisher")
        file = folder / "tariff.toml"
        for content, words in WRONG:
            file.write_text(content)
            assert words in (await terminal.command("product", "tariff", "add", "pub.internal", str(file), code=2))[1]
        missing = ("product", "tariff", "add", "pub.internal", str(folder / "none.toml"))
        assert "No such file" in (await terminal.command(*missing, code=2))[1]
        assert (
            "unknown_tariff"
            in (await terminal.command("product", "tariff", "withdraw", "pub.internal", "x", code=2))[1]
        )
        assert "not_found" in (await terminal.command("invoice", "show", "INV-2026-10-000001", code=2))[1]

    play(scene)
