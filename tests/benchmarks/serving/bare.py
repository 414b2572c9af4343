"""The bare handler (`bare_app`): uvicorn with uvloop and httptools, no access log, DuckDB on one thread."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.benchmarks.serving import bars
from tests.benchmarks.serving.asking import Ask, Block, Day, Page
from tests.benchmarks.serving.pages import PAGE_ROWS, ends_of
from tests.benchmarks.serving.servers import BIN, Server


class Bare(Server):
    name = "FastAPI+DuckDB"

    def command(self) -> Sequence[str]:
        where = ["--host", "127.0.0.1", "--port", str(self.port), "--app-dir", str(Path(__file__).parent)]
        return [str(BIN / "uvicorn"), "bare_app:app", *where, "--no-access-log", "--log-level", "warning"]

    def environment(self) -> dict[str, str]:
        files = {"BARS": str(bars.parquet("by_key")), "BARS_BY_SESSION": str(bars.parquet("by_session"))}
        return {**super().environment(), **files}

    def page(self, page: Page) -> Ask:
        return Ask(f"/securities/{page.sec_id}?since={page.since}&limit={page.rows}")

    def day(self, day: Day) -> Ask:
        return Ask(f"/sessions/{day.session}?limit={day.rows}")

    def block(self, block: Block) -> Ask:
        return Ask(f"/blocks/{block.first}/{block.last}?format={block.format}")

    def walk(self, rows: int) -> Iterator[tuple[float, int]]:
        """By offset, the ends only."""
        for offset in ends_of(rows):
            elapsed_s, _, answer = self.ask(Ask(f"/bars?offset={offset}&limit={PAGE_ROWS}"))
            yield elapsed_s, len(self.rows(answer))
