"""Runs plans in this process, each step with its own inputs only, as the sites would: the planner's test bench."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeAlias

import duckdb
import pyarrow as pa

from datacanal.planning.duckdb_binder import DuckDBBinder
from datacanal.planning.gate import check_tree
from datacanal.planning.grouping import guard, numbered_groups, output
from datacanal.planning.instant import instant_statements
from datacanal.planning.names import check_inputs
from datacanal.planning.quoting import identifier, literal
from datacanal.protocol.plan import DatasetInput, Plan, PlanColumn, Protection, Step, StepInput

Gate: TypeAlias = Callable[[Step, pa.Table, pa.Table], pa.Table]
"""What leaves an aggregate step of its groups and their guard (see `planning.grouping`)."""

Source: TypeAlias = pa.Table | Path | str | duckdb.DuckDBPyRelation
"""What stands for a dataset: an Arrow table, a relation, or the path or glob of Parquet files."""

_EPOCH = "1970-01-01T00:00:00+00:00"
_SETTINGS = ("SET TimeZone = 'UTC'", "SET arrow_lossless_conversion = true", "SET python_enable_replacements = false")


class Interpreter:
    """Lakes by name, in each its datasets by name. For one thread; keep it, opening it costs more than a small plan.

    Without a `gate` every group of an aggregate step leaves it.
    """

    def __init__(
        self,
        lakes: Mapping[str, Mapping[str, Source]],
        binder: DuckDBBinder | None = None,
        gate: Gate | None = None,
    ) -> None:
        self._gate = gate
        self._binder = binder or DuckDBBinder()
        self._own_binder = None if binder else self._binder
        self._connection = duckdb.connect(config={"threads": 1})
        for statement in (*_SETTINGS, *instant_statements(_EPOCH)):
            self._connection.execute(statement)
        self._now = _EPOCH
        self._sources: dict[tuple[str, str], str] = {}
        for lake, datasets in lakes.items():
            for dataset, source in datasets.items():
                self._sources[lake, dataset] = self._add_source(source)

    def run(self, plan: Plan) -> pa.Table:
        """The result, in lossless Arrow types. Raises what a site would: gate errors, or `duckdb.Error`."""
        return self.run_steps(plan)[plan.result_step]

    def run_steps(self, plan: Plan) -> dict[str, pa.Table]:
        """The output of every step, by its id."""
        self._set_clock(plan.now)
        outputs: dict[str, pa.Table] = {}
        for step in plan.steps:
            self._check(step)
            outputs[step.id] = self._run_step(step, outputs)
        return outputs

    def close(self) -> None:
        """End the connection; a binder that was given stays open."""
        self._connection.close()
        if self._own_binder is not None:
            self._own_binder.close()

    def _check(self, step: Step) -> None:
        """What a site's own gate does with a step that it is given."""
        tree = self._binder.parse(step.sql)
        check_tree(tree, step.sql)
        check_inputs(tree, {(each.occurrence, each.lake, each.dataset) for each in step.inputs})

    def _run_step(self, step: Step, outputs: Mapping[str, pa.Table]) -> pa.Table:
        attached: list[StepInput] = []
        try:
            for each in step.inputs:
                attached.append(each)
                self._attach(each, outputs)
            relation = self._connection.sql(step.sql, params=step.params or None)
            if step.protection is None:
                return _as_planned(relation, step.columns, step)
            return self._grouped(relation, step, step.protection)
        finally:
            for each in attached:
                self._connection.execute(f"DETACH DATABASE IF EXISTS {each.occurrence}")
                self._connection.unregister(each.occurrence)

    def _grouped(self, relation: duckdb.DuckDBPyRelation, step: Step, protection: Protection) -> pa.Table:
        rows, groups = "temp.main.interpreted_rows", "temp.main.interpreted_groups"
        try:
            self._connection.register("interpreted", _as_planned(relation, step.relation, step))
            listed = ", ".join(f"CAST({identifier(c.name)} AS {c.type}) AS {identifier(c.name)}" for c in step.relation)
            self._connection.execute(f"CREATE TEMP TABLE interpreted_rows AS SELECT {listed} FROM interpreted")
            self._connection.execute(f"CREATE TEMP TABLE interpreted_groups AS {numbered_groups(protection, rows)}")
            found = _as_planned(self._connection.sql(output(protection, groups)), step.columns, step)
            if self._gate is None:
                return found
            return self._gate(step, found, self._connection.sql(guard(protection, rows, groups)).to_arrow_table())
        finally:
            self._connection.execute("DROP TABLE IF EXISTS interpreted_rows; DROP TABLE IF EXISTS interpreted_groups")
            self._connection.unregister("interpreted")

    def _attach(self, given: StepInput, outputs: Mapping[str, pa.Table]) -> None:
        schema = f"{given.occurrence}.{identifier(given.lake)}"
        self._connection.execute(f"ATTACH ':memory:' AS {given.occurrence}; CREATE SCHEMA IF NOT EXISTS {schema}")
        if isinstance(given, DatasetInput):
            select = _select(given.columns, given.columns, self._sources[given.lake, given.dataset])
        elif given.counted:
            # The count as a literal, as sites write it: a subquery here would change the plan around it.
            select = f"{_nulls(given.columns)} FROM range({outputs[given.from_step]['rows'][0].as_py()})"
        else:
            self._connection.register(given.occurrence, outputs[given.from_step])
            select = _select(given.columns, given.shipped, f"temp.main.{given.occurrence}")
        self._connection.execute(f"CREATE VIEW {schema}.{identifier(given.dataset)} AS {select}")

    def _add_source(self, source: Source) -> str:
        name = f"source_{len(self._sources)}"
        if isinstance(source, str | Path):
            self._connection.execute(f"CREATE VIEW {name} AS FROM read_parquet({literal(str(source))})")
            return f"memory.main.{name}"
        self._connection.register(name, source if isinstance(source, pa.Table) else source.to_arrow_table())
        return f"temp.main.{name}"

    def _set_clock(self, now: str) -> None:
        if now != self._now:
            for statement in instant_statements(now):
                self._connection.execute(statement)
            self._now = now


def _select(columns: list[PlanColumn], present: list[PlanColumn], source: str) -> str:
    """Every column with its type; those not present are NULL."""
    at_hand = {column.name for column in present}
    parts = [
        f"CAST({identifier(c.name) if c.name in at_hand else 'NULL'} AS {c.type}) AS {identifier(c.name)}"
        for c in columns
    ]
    return f"SELECT {', '.join(parts)} FROM {source}"


def _nulls(columns: list[PlanColumn]) -> str:
    return "SELECT " + ", ".join(f"CAST(NULL AS {column.type}) AS {identifier(column.name)}" for column in columns)


def _as_planned(relation: duckdb.DuckDBPyRelation, columns: list[PlanColumn], step: Step) -> pa.Table:
    """The table, if its names and types are those that the plan promised."""
    found = [(name, str(kind)) for name, kind in zip(relation.columns, relation.types, strict=True)]
    planned = [(column.name, column.type) for column in columns]
    if found != planned:
        raise AssertionError(f"step {step.id} gives {found}, planned were {planned}")
    return relation.to_arrow_table()
