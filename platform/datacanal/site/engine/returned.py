"""What a function returned, as tables that come one after the other. At least one comes, so that there is a schema."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import dask.dataframe as dd
import pandas as pd
import pyarrow as pa
from distributed import Client
from duckdb import DuckDBPyRelation

from datacanal.formats.shapes import shaped
from datacanal.formats.types import changes
from datacanal.planning.quoting import identifier
from datacanal.site.engine.giving_up import GivesUp
from datacanal.site.engine.writers import BATCH_ROWS

_KINDS = "a pyarrow Table, RecordBatch or RecordBatchReader, a pandas or Dask DataFrame, or a DuckDB relation"


def tables_of(value: object, declared: Sequence[str], client: Callable[[], Client | None]) -> Iterator[pa.Table]:
    """The value's rows. Raises `GivesUp` for what is no table, before anything is read."""
    match value:
        case pa.Table():
            return iter([value])
        case pa.RecordBatch():
            return iter([pa.Table.from_batches([value])])
        case pa.RecordBatchReader():
            return _of_reader(value)
        case pd.DataFrame():
            return iter([_of_frame(value, declared)])
        case dd.DataFrame():
            return (_of_frame(frame, declared) for frame in _partitions(value, client()))
        case DuckDBPyRelation():
            return _of_reader(_readable(value).to_arrow_reader(BATCH_ROWS))
    words = f"The function returned {type(value).__name__}, which is no table. It may return {_KINDS}."
    raise GivesUp("no_table", words)


def _of_reader(reader: Any) -> Iterator[pa.Table]:
    yield reader.schema.empty_table()
    for batch in reader:
        yield pa.Table.from_batches([batch])


def _of_frame(frame: pd.DataFrame, declared: Sequence[str]) -> pa.Table:
    """An index is a column where the job declared one of its name, as a grouping makes it; otherwise it is dropped."""
    if any(name in declared and name not in frame.columns for name in frame.index.names):
        frame = frame.reset_index()
    try:
        return pa.Table.from_pandas(frame, preserve_index=False)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
        words = f"A column of the frame holds values of different kinds: {error}"
        raise GivesUp("other_columns", words) from error


def _partitions(frame: dd.DataFrame, client: Client | None) -> Iterator[pd.DataFrame]:
    """One after the other, while the workers keep the others; without workers all at once."""
    if client is None:
        yield frame.compute()  # type: ignore[no-untyped-call]  # Dask's own
        return
    parts: list[Any] = frame.to_delayed()  # type: ignore[no-untyped-call]  # the same
    waiting = list(reversed(client.compute(parts)))  # type: ignore[no-untyped-call]  # the same
    while waiting:
        # The result is let go at both ends with the next turn.
        yield waiting.pop().result()


def _readable(relation: DuckDBPyRelation) -> DuckDBPyRelation:
    """With types that Arrow holds, however its connection is set up: a HUGEINT would become a DOUBLE."""
    if not any(changes(kind, "arrow") for kind in relation.types):
        return relation
    return relation.project(
        ", ".join(
            f"{shaped(identifier(name), kind, 'arrow')} AS {identifier(name)}"
            for name, kind in zip(relation.columns, relation.types, strict=True)
        )
    )
