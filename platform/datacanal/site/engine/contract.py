"""The columns that a job declared, and a returned table as exactly those.

One rule for every type: a value may be cast to the declared type if casting it back gives the value. So an integer is
a HUGEINT and a text with a UUID in it is a UUID, while 0.125 is no DECIMAL(10,2).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa

from datacanal.domain.errors import OutOfDisk, OutOfMemory
from datacanal.formats.shapes import shaped
from datacanal.formats.sqltext import parsed_type, type_text
from datacanal.formats.types import changes
from datacanal.planning.quoting import literal
from datacanal.protocol.plan import PlanColumn
from datacanal.site.engine.arrow_pieces import without_dictionaries
from datacanal.site.engine.failures import failure_of
from datacanal.site.engine.giving_up import GivesUp
from datacanal.site.engine.job_duckdb import arrow_types, own_connection

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_NULL = '"NULL"'


class Contract:
    """`columns` are names and DuckDB types in order; `schema` is what they are while they travel."""

    def __init__(self, columns: Mapping[str, str]) -> None:
        self.columns = [PlanColumn(name=name, type=type_text(kind)) for name, kind in columns.items()]
        fields = arrow_types(columns.values(), "lossless")
        self.schema = pa.schema([field.with_name(name) for name, field in zip(columns, fields, strict=True)])
        # An ENUM travels as text: that a column is text does not say that its values belong to it.
        self._is_plain = not any(changes(parsed_type(column.type), "lossless") for column in self.columns)
        self._connection = own_connection(lossless=True)

    @property
    def names(self) -> list[str]:
        """The declared columns' names."""
        return [column.name for column in self.columns]

    def shape(self, table: pa.Table) -> pa.Table:
        """The table with the declared columns, in their order and types. Raises `GivesUp` with what differs."""
        self._check_names(table.schema.names)
        table = without_dictionaries(table.select(self.names))
        if self._is_plain and table.schema.types == self.schema.types:
            return pa.table(table.columns, schema=self.schema)
        return self._cast(table)

    def _check_names(self, names: Iterable[str]) -> None:
        found = Counter(names)
        wrong = [
            *(f"- {name!r} is missing" for name in self.names if name not in found),
            *(f"- {name!r} was not declared" for name in found if name not in self.names),
            *(f"- {name!r} is there {count} times" for name, count in found.items() if count > 1),
        ]
        if wrong:
            raise GivesUp("other_columns", "\n".join(["The table has other columns than the job declared:", *wrong]))

    def _cast(self, table: pa.Table) -> pa.Table:
        positions = [f"c{position}" for position in range(len(self.columns))]
        try:
            self._connection.register("returned", table.rename_columns(positions))
            cast = self._connection.sql(_casting(self._connection, self.columns)).to_arrow_table()
        except duckdb.Error as error:
            if isinstance(failure_of(error, 0, ""), OutOfMemory | OutOfDisk):
                raise
            words = f"The table has other types than the job declared: {error}"
            raise GivesUp("other_columns", words) from error
        return pa.table(cast.columns, schema=self.schema)


class Shaped:
    """Tables as one reader of batches with the declared columns. Iterating raises `GivesUp` with what differs."""

    def __init__(self, contract: Contract, tables: Iterator[pa.Table]) -> None:
        self.schema = contract.schema
        self._contract = contract
        self._tables = tables

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        for table in self._tables:
            yield from self._contract.shape(table).to_batches()


def _casting(connection: DuckDBPyConnection, columns: list[PlanColumn]) -> str:
    """The statement over `returned`."""
    found = [str(kind) for kind in connection.table("returned").types]
    casts = ", ".join(_casts(columns, found))
    shapes = ", ".join(
        f"{shaped(f'c{position}', parsed_type(column.type), 'lossless')} AS c{position}"
        for position, column in enumerate(columns)
    )
    return f"SELECT {shapes} FROM (SELECT {casts} FROM returned)"


def _casts(columns: list[PlanColumn], found: list[str]) -> Iterator[str]:
    for position, (column, source) in enumerate(zip(columns, found, strict=True)):
        here, target = f"c{position}", column.type
        if source in (_NULL, target):
            yield f"CAST({here} AS {target}) AS {here}"
            continue
        there = f"TRY_CAST({here} AS {target})"
        words = literal(f"column {column.name!r} holds a value of type {source} that is no {target} without loss")
        yield (
            f"CASE WHEN {here} IS NULL OR TRY_CAST({there} AS {source}) IS NOT DISTINCT FROM {here} THEN {there} "
            f"ELSE CAST(error({words}) AS {target}) END AS {here}"
        )
