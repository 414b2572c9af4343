"""ROAPI over the Parquet files of both orders. Over files it is about twice as fast here as with tables in memory;
larger row groups, Snappy and page indexes changed nothing that could be measured."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from urllib.parse import quote

from tests.benchmarks.serving import bars
from tests.benchmarks.serving.asking import Ask, Block, Day, Page
from tests.benchmarks.serving.pages import PAGE_ROWS, ends_of
from tests.benchmarks.serving.servers import BIN, Server, free_port

_ACCEPTS = {"arrow": "application/vnd.apache.arrow.stream", "parquet": "application/parquet"}


class Roapi(Server):
    name = "ROAPI"

    def command(self) -> Sequence[str]:
        tables = "\n".join(
            f'  - {{name: {name}, uri: "{file}", option: {{format: parquet, use_memory_table: false}}}}'
            for name, file in (("bars", bars.parquet("by_key")), ("bars_by_session", bars.parquet("by_session")))
        )
        ports = {"http": self.port, "postgres": free_port(), "flight_sql": free_port()}
        addresses = "\n".join(f"  {kind}: 127.0.0.1:{port}" for kind, port in ports.items())
        configuration = self.folder / "roapi.yaml"
        configuration.write_text(f"addr:\n{addresses}\ntables:\n{tables}\n")
        return [str(BIN / "roapi"), "--config", str(configuration)]

    def page(self, page: Page) -> Ask:
        return self._table("bars", {"sec_id": page.sec_id}, {"trade_date": str(page.since)}, "trade_date", page.rows)

    def day(self, day: Day) -> Ask:
        return self._table("bars_by_session", {"trade_date": str(day.session)}, {}, "sec_id", day.rows)

    def block(self, block: Block) -> Ask:
        bounds = f"filter[sec_id]gte='{block.first}'&filter[sec_id]lte='{block.last}'"
        path = f"/api/tables/bars?{bounds}&sort=sec_id,trade_date&limit={block.rows}"
        return Ask(_quoted(path), {"Accept": _ACCEPTS[block.format]})

    def walk(self, rows: int) -> Iterator[tuple[float, int]]:
        """By OFFSET in SQL, since its REST questions have none; the ends only, as its pages do not hang together."""
        for offset in ends_of(rows):
            sql = f"SELECT * FROM bars ORDER BY sec_id, trade_date LIMIT {PAGE_ROWS} OFFSET {offset}"
            elapsed_s, _, answer = self.ask(Ask("/api/sql", body=sql.encode()))
            yield elapsed_s, len(self.rows(answer))

    @staticmethod
    def _table(table: str, equal: dict[str, str], least: dict[str, str], sort: str, rows: int) -> Ask:
        filters = [f"filter[{column}]='{value}'" for column, value in equal.items()]
        filters += [f"filter[{column}]gte='{value}'" for column, value in least.items()]
        return Ask(_quoted(f"/api/tables/{table}?{'&'.join(filters)}&sort={sort}&limit={rows}"))


def _quoted(path: str) -> str:
    return quote(path, safe="/?&=',")
