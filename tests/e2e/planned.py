"""Plans of what a running service knows, run by the interpreter: the rules of the planner one by one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import duckdb
from tests.e2e.outcomes import NOW, Outcome, difference, failed

from datacanal.client import Client
from datacanal.domain.errors import DatacanalError
from datacanal.planning.catalogue import Catalogue, CataloguedDataset
from datacanal.planning.compiler import compile_statement
from datacanal.planning.duckdb_binder import DuckDBBinder
from datacanal.planning.rules import Rules
from datacanal.testing.interpreter import Interpreter
from datacanal.testing.oracle import Oracle

WITHOUT = {"subtrees": Rules(subtrees=False), "join_groups": Rules(join_groups=False)}
"""The planner without one of its rules."""


def catalogue_of(client: Client) -> Catalogue:
    """The service's catalogue as its planner sees it."""
    listed = client.datasets()
    datasets = [
        CataloguedDataset(
            lake=each.lake,
            name=each.name,
            site=each.site,
            snapshot=each.snapshot or "",
            rows=each.rows,
            bytes=each.bytes,
            columns=tuple(each.columns),
        )
        for each in listed
    ]
    return Catalogue(tuple(datasets), frozenset(each.site for each in listed))


class PlannedBench:
    """The planner and its interpreter beside one DuckDB over the same lakes."""

    def __init__(self, catalogue: Catalogue, lakes: Mapping[str, Path]) -> None:
        self._catalogue = catalogue
        self._oracle = Oracle(lakes, now=NOW)
        self._binder = DuckDBBinder()
        sources: dict[str, dict[str, Path]] = {lake: {} for lake in lakes}
        for each in catalogue.datasets:
            sources[each.lake][each.name] = lakes[each.lake] / each.name / "**" / "*.parquet"
        self._interpreter = Interpreter(sources, self._binder)

    def close(self) -> None:
        """End the databases."""
        self._interpreter.close()
        self._binder.close()
        self._oracle.close()

    def complaint(self, sql: str, params: Mapping[str, Any], ordered_by: tuple[int, ...], rules: Rules) -> str | None:
        """What is wrong with the answer of the plan under those rules, or None."""
        try:
            plan = compile_statement(sql, params, self._catalogue, self._binder, NOW, rules)
            table = self._interpreter.run(plan)
        except (DatacanalError, duckdb.Error) as error:
            return f"{failed(error).failure}"
        ours = Outcome([column.name for column in plan.columns], [column.type for column in plan.columns], table)
        answer = self._oracle.run(sql, params)
        return difference(ours, Outcome(answer.table.column_names, answer.types, answer.table), ordered_by)
