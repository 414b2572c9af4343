"""Datasette over an immutable SQLite file: counting, facets and their suggestions off, SQLite's cache at 256 MiB, and
as many rows and as much time as the questions need. Its two tables lie in the order of their keys."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from urllib.parse import urlsplit

from tests.benchmarks.serving import bars
from tests.benchmarks.serving.asking import Ask, Day, Page
from tests.benchmarks.serving.pages import PAGE_ROWS
from tests.benchmarks.serving.servers import BIN, Server

_SETTINGS = {
    "max_returned_rows": "100000",
    "sql_time_limit_ms": "60000",
    "suggest_facets": "off",
    "num_sql_threads": "2",
    "cache_size_kb": str(256 * 1024),
}
_PLAIN = "_nocount=1&_nofacet=1&_nosuggest=1"


class Datasette(Server):
    name = "Datasette"

    def command(self) -> Sequence[str]:
        settings = [word for name, value in _SETTINGS.items() for word in ("--setting", name, value)]
        where = ["--host", "127.0.0.1", "--port", str(self.port)]
        return [str(BIN / "datasette"), "serve", "--immutable", str(bars.database()), *where, *settings]

    def page(self, page: Page) -> Ask:
        question = f"sec_id__exact={page.sec_id}&trade_date__gte={page.since}&_sort=trade_date"
        return self._table("bars", question, page.rows)

    def day(self, day: Day) -> Ask:
        return self._table("bars_by_session", f"trade_date__exact={day.session}&_sort=sec_id", day.rows)

    def walk(self, rows: int) -> Iterator[tuple[float, int]]:
        """By its own next links, in the order of the primary key."""
        path = f"/bars/bars.json?_shape=objects&_size={PAGE_ROWS}&{_PLAIN}"
        while rows > 0:
            elapsed_s, _, answer = self.ask(Ask(path))
            page = json.loads(answer)
            rows -= len(page["rows"])
            yield elapsed_s, len(page["rows"])
            following = urlsplit(page["next_url"])
            path = f"{following.path}?{following.query}"

    @staticmethod
    def _table(table: str, question: str, rows: int) -> Ask:
        return Ask(f"/bars/{table}.json?{question}&_shape=array&_size={rows}&{_PLAIN}")
