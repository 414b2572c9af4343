"""What other ways of answering would move, in the same unit as `bytes_moved`: zstd Arrow IPC streams."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import duckdb
import pyarrow as pa

from datacanal.planning.catalogue import Catalogue
from datacanal.planning.compiler import bind_statement
from datacanal.planning.duckdb_binder import DuckDBBinder
from datacanal.planning.shipments import propose, settle

NOW = "2024-01-01T00:00:00+00:00"
_BATCH_ROWS = 122_880


class Puller:
    """Measures, over the Parquet files themselves, what pulling everything to one place would put on the wire."""

    def __init__(self, lakes: Mapping[str, Path], catalogue: Catalogue) -> None:
        self._lakes = lakes
        self._catalogue = catalogue
        self._binder = DuckDBBinder()
        self._connection = duckdb.connect(config={"threads": 2})
        self._connection.execute("SET arrow_lossless_conversion = true")
        self._known: dict[str, int] = {}

    def whole_tables(self, sql: str) -> int:
        """Every dataset of the statement, whole, once."""
        statement = bind_statement(sql, {}, self._catalogue, self._binder, NOW)
        used = {(each.dataset.lake, each.dataset.name) for each in statement.occurrences}
        return sum(self._measured(f"SELECT * FROM {self._reader(lake, name)}") for lake, name in sorted(used))

    def needed_columns(self, sql: str) -> int:
        """Of every dataset the columns and rows that the planner would ship, from both sides."""
        statement = bind_statement(sql, {}, self._catalogue, self._binder, NOW)
        proposals = propose(self._binder, statement.occurrences, statement.demands, statement.prefix)
        shipments = settle(self._binder, proposals, statement.prefix, statement.now)
        once = {shipment.proposal.identity: shipment for shipment in shipments}
        return sum(self._shipped(shipment.sql, shipment.proposal.occurrence.name) for shipment in once.values())

    def _shipped(self, sql: str, occurrence: str) -> int:
        self._connection.execute(f"ATTACH ':memory:' AS {occurrence}")
        try:
            for lake, folder in self._lakes.items():
                self._connection.execute(f"CREATE SCHEMA {occurrence}.{lake}")
                for dataset in folder.iterdir():
                    view = f"{occurrence}.{lake}.{dataset.name}"
                    reader = self._reader(lake, dataset.name)
                    self._connection.execute(f"CREATE VIEW {view} AS SELECT * FROM {reader}")
            return self._measured(sql)
        finally:
            self._connection.execute(f"DETACH {occurrence}")

    def _reader(self, lake: str, dataset: str) -> str:
        return f"read_parquet('{self._lakes[lake] / dataset}/*.parquet')"

    def _measured(self, sql: str) -> int:
        if sql not in self._known:
            reader = self._connection.sql(sql).to_arrow_reader(_BATCH_ROWS)
            sink = _Counter()
            with pa.ipc.new_stream(sink, reader.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as stream:
                for batch in reader:
                    stream.write_batch(batch)
            self._known[sql] = sink.bytes
        return self._known[sql]


class _Counter:
    """A file that only counts."""

    closed = False

    def __init__(self) -> None:
        self.bytes = 0

    def write(self, data: bytes) -> int:
        self.bytes += len(data)
        return len(data)

    def tell(self) -> int:
        return self.bytes

    def flush(self) -> None: ...

    def close(self) -> None: ...

    def writable(self) -> bool:
        return True

    def readable(self) -> bool:
        return False

    def seekable(self) -> bool:
        return False
