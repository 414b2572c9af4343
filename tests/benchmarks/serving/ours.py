"""Our gateway as it comes, but for one query at a time on its core.

Every request carries an API key that is checked, is held to a burst and to quotas, and charged.
"""

from __future__ import annotations

import os
import re
import sqlite3
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.benchmarks.serving import bars
from tests.benchmarks.serving.asking import Ask, Block, Day, Page
from tests.benchmarks.serving.pages import PAGE_ROWS
from tests.benchmarks.serving.servers import Server
from tests.products import ProductHome

from datacanal.domain.usage import Burst, Dimension, Period, Quota
from datacanal.ledger import DATABASE

_DATA = f"/v1/products/{bars.PRODUCT}/data"
_QUOTAS = [Quota(Dimension.ROWS, 10**12, Period.DAY), Quota(Dimension.CALLS, 10**9, Period.MONTH)]
_BURST = Burst(10**6)
_ACCEPTS = {"arrow": "application/vnd.apache.arrow.stream", "parquet": "application/vnd.apache.parquet"}


class Gateway(Server):
    name = "Datacanal"
    program = "datacanal.cli"

    def command(self) -> Sequence[str]:
        home = ProductHome(self.folder)
        home.product(bars.PRODUCT, contract=bars.CONTRACT)
        snapshot = bars.snapshot()
        home.staged(snapshot, bars.CONTRACT)
        home.point(bars.PRODUCT, snapshot.snapshot)
        self.headers = {"Authorization": f"Bearer {self.secret(home)}"}
        home.engine.dispose()
        self._ledger = home.home / DATABASE
        configuration = self.folder / "datacanal.toml"
        configuration.write_text(
            f'home = "{home.home}"\n[control]\n'
            f'[gateway]\nlisten = "127.0.0.1:{self.port}"\nstore = "{bars.STORE}"\nthreads = 1\n'
        )
        return [sys.executable, "-m", self.program, "serve", "gateway", "--config", str(configuration)]

    def secret(self, home: ProductHome) -> str:
        """What every request carries."""
        subscription = home.book.subscription("mei", bars.PRODUCT, _QUOTAS, burst=_BURST)
        key = home.book.key(subscription)
        home.book.store.close()
        return key

    def charged(self) -> int:
        """How many calls stand in the book."""
        with closing(sqlite3.connect(self._ledger)) as book:
            [count] = book.execute("SELECT count(*) FROM events").fetchone()
        return int(count)

    def environment(self) -> dict[str, str]:
        return dict(os.environ)

    def page(self, page: Page) -> Ask:
        return Ask(f"{_DATA}?sec_id={page.sec_id}&trade_date.gte={page.since}&limit={page.rows}")

    def day(self, day: Day) -> Ask:
        return Ask(f"{_DATA}?trade_date={day.session}&limit={day.rows}")

    def block(self, block: Block) -> Ask:
        path = f"{_DATA}?sec_id.gte={block.first}&sec_id.lte={block.last}&limit={block.rows}"
        return Ask(path, {"Accept": _ACCEPTS[block.format]})

    def walk(self, rows: int) -> Iterator[tuple[float, int]]:
        """By cursor, as its Link header says."""
        path = f"{_DATA}?limit={PAGE_ROWS}"
        while rows > 0:
            elapsed_s, response, answer = self.ask(Ask(path))
            page = self.rows(answer)
            rows -= len(page)
            yield elapsed_s, len(page)
            path = re.findall(r"<([^>]*)>", response.headers["Link"])[0]

    def rows(self, answer: bytes) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = super().rows(answer)["data"]  # type: ignore[call-overload]
        return rows


class Unmetered(Gateway):
    """The same without: a token, and nobody is charged."""

    name = "not metered"
    program = "tests.benchmarks.serving.unmetered"

    def secret(self, home: ProductHome) -> str:
        return home.token("mei")

    def environment(self) -> dict[str, str]:
        """The program is found from the repository's root."""
        root = str(Path(__file__).parents[3])
        return {**os.environ, "PYTHONPATH": os.pathsep.join([root, os.environ.get("PYTHONPATH", "")])}
