"""Random statements through the planner and the interpreter of plans, or a service, beside one DuckDB over all."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
from tests.e2e.outcomes import NOW, Outcome, Run, ServiceBench, difference, failed

from datacanal.domain.errors import DatacanalError
from datacanal.planning.catalogue import Catalogue, CataloguedDataset
from datacanal.planning.compiler import compile_statement
from datacanal.planning.duckdb_binder import DuckDBBinder
from datacanal.planning.rules import Rules
from datacanal.protocol.catalogue import ColumnStatistics, DatasetColumn
from datacanal.testing.interpreter import Interpreter
from datacanal.testing.oracle import Answer, Oracle
from datacanal.testing.sample import TABLES, write_sample_lakes
from datacanal.testing.shrink import shrink
from datacanal.testing.statements import Statement, statement_of

Make = Callable[[int], Statement]

SITES = {"transactions": "core", "users": "crm"}
RULES = (Rules(), Rules(), Rules(subtrees=False), Rules(join_groups=False))
SEED = "DATACANAL_SEED"
SHOWN = 3


def base_seed(default: int = 0) -> int:
    """Where the seeds of a run begin: DATACANAL_SEED replays one."""
    return int(os.environ.get(SEED, default))


class Bench:
    """The sample lakes, the oracle over them, and the planner with its interpreter. Built once for many statements."""

    def __init__(self, root: Path) -> None:
        lakes = write_sample_lakes(root)
        self._oracle = Oracle(lakes, now=NOW)
        self._binder = DuckDBBinder()
        self._catalogues = [self._catalogue(large) for large in SITES]
        self._interpreter = Interpreter(
            {lake: {t.name: lakes[lake] / t.name / "*.parquet" for t in TABLES if t.lake == lake} for lake in lakes},
            self._binder,
        )

    def close(self) -> None:
        """End the databases."""
        self._interpreter.close()
        self._binder.close()
        self._oracle.close()

    def expected(self, sql: str, params: Mapping[str, Any]) -> Outcome:
        """What one DuckDB says."""
        try:
            answer: Answer = self._oracle.run(sql, params)
        except duckdb.Error as error:
            return failed(error)
        return Outcome(answer.table.column_names, answer.types, answer.table)

    def planned(self, seed: int, rules: Rules | None = None) -> Run:
        """What the plan gives.

        The seed decides which site says that it is the larger one, and so where they meet, and, where no rules are
        given, which of the planner's rules are in force.
        """
        catalogue = self._catalogues[seed % len(self._catalogues)]
        rules = rules or RULES[seed // 2 % len(RULES)]

        def run(sql: str, params: Mapping[str, Any]) -> Outcome:
            try:
                plan = compile_statement(sql, params, catalogue, self._binder, NOW, rules)
                table = self._interpreter.run(plan)
            except (DatacanalError, duckdb.Error) as error:
                return failed(error)
            return Outcome([column.name for column in plan.columns], [column.type for column in plan.columns], table)

        return run

    def complaint(self, seed: int, make: Make = statement_of, rules: Rules | None = None) -> str | None:
        """What is wrong with the statement of this seed, shrunk a little, or None."""
        return complaint(seed, make(seed), self.planned(seed, rules), self.expected)

    def _catalogue(self, large: str) -> Catalogue:
        datasets = [self._dataset(table.lake, table.name, 1000 if table.lake == large else 1) for table in TABLES]
        return Catalogue(tuple(datasets), frozenset(SITES.values()))

    def _dataset(self, lake: str, name: str, times: int) -> CataloguedDataset:
        answer = self._oracle.run(f"SELECT * FROM {lake}.{name}")
        counts = self._oracle.run(f"SELECT count(DISTINCT COLUMNS(*)) FROM {lake}.{name}").table.to_pylist()[0].values()
        columns = tuple(
            DatasetColumn(
                name=column,
                type=kind,
                statistics=ColumnStatistics(compressed_bytes=400 * times, distinct_count=count),
            )
            for column, kind, count in zip(answer.table.column_names, answer.types, counts, strict=True)
        )
        rows = answer.table.num_rows * times
        return CataloguedDataset(lake, name, SITES[lake], f"snp_{name}", rows, 400 * len(columns) * times, columns)


def complaint(seed: int, statement: Statement, ours: Run, oracle: Run) -> str | None:
    """What is wrong with a statement: its seed, its text as far as it could be shrunk, and the first difference."""

    def differs(sql: str) -> str | None:
        expected = oracle(sql, statement.params)
        return difference(ours(sql, statement.params), expected, statement.ordered_by if sql == statement.sql else ())

    found = differs(statement.sql)
    if found is None:
        return None
    # A smaller statement that fails in one engine only must still answer in the other, or it would shrink to nonsense.
    answers = oracle(statement.sql, statement.params).table is not None
    smaller = shrink(
        statement.sql,
        lambda sql: (oracle(sql, statement.params).table is not None) == answers and differs(sql) is not None,
    )
    return (
        f"seed {seed} ({SEED}={seed} replays it)\n{statement.sql}\nparameters {statement.params}\n{found}\n"
        f"shrunk to\n{smaller}\n{differs(smaller)}\n"
    )


def service_complaint(bench: ServiceBench, seed: int) -> str | None:
    """What is wrong with the service's answer to the statement of this seed, or None."""
    statement = statement_of(seed)
    found = bench.complaint(statement.sql, statement.params, statement.ordered_by)
    return None if found is None else f"seed {seed}\n{statement.sql}\nparameters {statement.params}\n{found}\n"


def complaints(seeds: range, make: Make = statement_of) -> list[str]:
    """The first complaints about the statements of these seeds, on a bench of their own."""
    with TemporaryDirectory() as folder:
        bench = Bench(Path(folder))
        try:
            return first_of(bench.complaint(seed, make) for seed in seeds)
        finally:
            bench.close()


def first_of(found: Iterable[str | None]) -> list[str]:
    """The first few complaints, and no more work than they need."""
    return list(islice((text for text in found if text is not None), SHOWN))
