"""A task's statement: gated again, run, its columns compared with the plan's, and shaped for its format."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from duckdb.sqltypes import DuckDBPyType
from pydantic import JsonValue

from datacanal.domain.errors import EngineFailed
from datacanal.formats.shapes import shaped
from datacanal.formats.sqltext import parsed_type
from datacanal.formats.texts import csv_text, json_name, json_text
from datacanal.formats.types import ColumnarFormat, changes
from datacanal.planning.gate import check_tree
from datacanal.planning.names import check_inputs
from datacanal.protocol.plan import PlanColumn
from datacanal.site.engine.output import OutputFile
from datacanal.site.engine.specification import Task
from datacanal.site.engine.writers import (
    BATCH_ROWS,
    told_apart,
    write_arrow,
    write_csv,
    write_json,
    write_parquet,
)

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection, DuckDBPyRelation

_WRAPPED = "datacanal_result"


def check_gate(connection: DuckDBPyConnection, task: Task) -> None:
    """Judge a user's statement as the planner did, and let it name no table but the task's own inputs.

    Raises what the gate raises.
    """
    [(text,)] = connection.execute("SELECT json_serialize_sql($sql::VARCHAR)", {"sql": task.sql}).fetchall()
    tree = json.loads(text)
    check_tree(tree, task.sql)
    check_inputs(tree, {(one.occurrence, one.lake, one.dataset) for one in task.inputs})


def run_into(connection: DuckDBPyConnection, task: Task, output: OutputFile) -> int:
    """Run the statement into the output in the task's format. Gives the rows."""
    kinds = check_columns(relation_of(connection, task.sql, task.params), task.columns, named=task.gated)
    match task.format:
        case "csv":
            return write_csv(_reader(connection, task, [csv_line(kinds)]), output, task.columns)
        case "json":
            return write_json(_reader(connection, task, [json_line(kinds, task.columns)]), output)
        case "parquet":
            return write_parquet(_shaped_reader(connection, task, kinds, "parquet"), output, task.columns)
        case "arrow":
            return write_arrow(_shaped_reader(connection, task, kinds, "arrow"), output, task.columns)
    return write_arrow(_shaped_reader(connection, task, kinds, "lossless"), output, task.columns, task.metadata)


def csv_line(kinds: Sequence[DuckDBPyType]) -> str:
    """The expression of a row's CSV line over the columns c0, c1, …"""
    fields = ", ',', ".join(csv_text(f"c{position}", kind) for position, kind in enumerate(kinds))
    return f"concat({fields}, chr(10))"


def json_line(kinds: Sequence[DuckDBPyType], columns: Sequence[PlanColumn]) -> str:
    """The expression of a row's JSON object over the columns c0, c1, …, behind a comma and a newline."""
    names = told_apart([column.name for column in columns])
    parts = ", ',', ".join(
        f"{json_name(name)}, {json_text(f'c{position}', kind)}"
        for position, (name, kind) in enumerate(zip(names, kinds, strict=True))
    )
    return f"concat(',', chr(10), '{{', {parts}, '}}')"


def _shaped_reader(
    connection: DuckDBPyConnection, task: Task, kinds: Sequence[DuckDBPyType], target: ColumnarFormat
) -> Any:
    if not any(changes(kind, target) for kind in kinds):
        return relation_of(connection, task.sql, task.params).to_arrow_reader(BATCH_ROWS)
    parts = [f"{shaped(f'c{position}', kind, target)} AS c{position}" for position, kind in enumerate(kinds)]
    return _reader(connection, task, parts)


def _reader(connection: DuckDBPyConnection, task: Task, parts: Sequence[str]) -> Any:
    """The statement's rows as those expressions over its columns, by position: its names may repeat or be empty."""
    names = ", ".join(f"c{position}" for position in range(len(task.columns)))
    sql = f"SELECT {', '.join(parts)} FROM ({task.sql}\n) AS {_WRAPPED}({names})"
    return relation_of(connection, sql, task.params).to_arrow_reader(BATCH_ROWS)


def relation_of(connection: DuckDBPyConnection, sql: str, params: Mapping[str, JsonValue]) -> DuckDBPyRelation:
    """The statement as DuckDB binds it; nothing runs yet."""
    return connection.sql(sql, params=dict(params)) if params else connection.sql(sql)


def check_columns(relation: DuckDBPyRelation, columns: Sequence[PlanColumn], *, named: bool) -> list[DuckDBPyType]:
    """The relation's types, if they and, with `named`, the names are those of the columns. Raises `EngineFailed`."""
    found = [str(kind) for kind in relation.types]
    planned = [str(parsed_type(column.type)) for column in columns]
    names = [column.name for column in columns]
    if found != planned or (named and list(relation.columns) != names):
        raise EngineFailed(reason="the statement gives other columns than the plan says")
    return list(relation.types)
