"""Does a result change with a column that lineage says it does not depend on? Asked of DuckDB itself, on other data."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from random import Random
from typing import Any

import duckdb

from datacanal.domain.errors import StatementError
from datacanal.planning.binding import BindRequest, BoundTable, NamedType, Question
from datacanal.planning.catalogue import Catalogue, CataloguedDataset
from datacanal.planning.duckdb_binder import DuckDBBinder
from datacanal.planning.instant import instant_statements
from datacanal.planning.lineage import Relation, TracedTable, trace
from datacanal.planning.names import resolve
from datacanal.planning.quoting import identifier, literal
from datacanal.protocol.catalogue import DatasetColumn
from datacanal.protocol.labels import Label, Origin
from datacanal.protocol.plan import PlanColumn
from datacanal.testing.sample import LAKES, TABLES, SampleTable
from datacanal.testing.statements import Statement

NOW = "2024-05-06T07:08:09.101112+00:00"
_SITE = "core"
_CHANGES = {
    "moved": "SELECT {x}, (r + 7) % {rows} AS r FROM numbered",
    "equal": "SELECT (SELECT max({x}) FROM numbered) AS {x}, r FROM numbered",
    "absent": "SELECT CASE WHEN r % 3 > 0 THEN {x} END AS {x}, r FROM numbered",
}
"""Ways to change one column and nothing else, each with the texts of the rows' values by number."""

Rows = list[tuple[Any, ...]] | None
"""A result; None where the statement failed."""


@dataclass(frozen=True)
class Changed:
    """A column and a way in which its data were changed."""

    lake: str
    dataset: str
    column: str
    change: str

    @property
    def catalog(self) -> str:
        return f"{self.dataset}_{self.column}_{self.change}"

    def rows(self, source: str, rows: int) -> str:
        """A query of the source's rows, in their order, with the column changed."""
        x = identifier(self.column)
        values = _CHANGES[self.change].format(x=x, rows=max(rows, 1))
        return (
            f"WITH numbered AS MATERIALIZED (SELECT *, row_number() OVER () - 1 AS r FROM {source}), "
            f"altered AS ({values}) SELECT numbered.* EXCLUDE (r) REPLACE (altered.{x} AS {x}) "
            "FROM numbered JOIN altered USING (r) ORDER BY r"
        )


class Bench:
    """The sample tables as they are, as they are with any one column changed, and the binder over them."""

    def __init__(self) -> None:
        self.compared = 0
        self._made: set[Changed] = set()
        self._database = duckdb.connect(config={"threads": 1})
        for statement in ("SET TimeZone = 'UTC'", *instant_statements(NOW)):
            self._database.execute(statement)
        self._binder = DuckDBBinder()
        for table in TABLES:
            self._database.execute(f"CREATE SCHEMA IF NOT EXISTS {table.lake}")
            self._database.execute(f"CREATE TABLE {table.lake}.{table.name} AS {table.sql}")
        self._catalogue = Catalogue(tuple(self._dataset(table) for table in TABLES), frozenset({_SITE}))

    def close(self) -> None:
        self._database.close()
        self._binder.close()

    def complaint(self, statement: Statement, rng: Random, most: int) -> str | None:
        """The first column that the result depends on although lineage says not; `most` columns are looked at.

        What does not bind is no concern of lineage.
        """
        try:
            relation, tables = self.traced(statement)
        except StatementError:
            return None
        every = sorted({(t.lake, t.dataset, column.name) for t in tables.values() for column in t.columns})
        still = [column for column in every if not _decides(column, relation.shape)]
        before = self._answer("memory", statement) if still else None
        for column in rng.sample(still, min(most, len(still))):
            said = self._moved(statement, relation, before, Changed(*column, rng.choice(sorted(_CHANGES))))
            if said is not None:
                return f"{statement.sql}\n{statement.params}\n{said}"
        return None

    def traced(self, statement: Statement) -> tuple[Relation, dict[str, TracedTable]]:
        tree = self._binder.parse(statement.sql)
        occurrences = resolve(tree, self._catalogue)
        tables = [
            BoundTable(
                occurrence=each.name,
                lake=each.dataset.lake,
                dataset=each.dataset.name,
                columns=[NamedType(name=column.name, type=column.type) for column in each.dataset.columns],
            )
            for each in occurrences
        ]
        question = Question(sql=self._binder.print_checked(tree), params=statement.params, lineage=True)  # type: ignore[arg-type]
        [binding] = self._binder.bind(BindRequest(tables=tables, questions=[question], now=NOW, prefix="c"))
        traced = {
            each.name: TracedTable(each.dataset.lake, each.dataset.name, _secret(each.dataset)) for each in occurrences
        }
        return trace(binding.bound, traced, len(binding.columns)), traced

    def _moved(self, statement: Statement, relation: Relation, before: Rows, changed: Changed) -> str | None:
        """What moved although it should not, when a column's data are changed."""
        own = (changed.lake, changed.dataset, changed.column)
        kept = [number for number, column in enumerate(relation.columns) if not _decides(own, column.label)]
        self.compared += 1
        self._make(changed)
        if _counted(self._answer(changed.catalog, statement), kept) == _counted(before, kept):
            return None
        return f"of {len(relation.columns)} columns {kept} depend on {changed}"

    def _answer(self, catalog: str, statement: Statement) -> Rows:
        self._database.execute(f"USE {catalog}.{LAKES[0]}")
        path = ",".join([*(f"{catalog}.{lake}" for lake in LAKES), "memory.main"])  # the fixed clock stands there
        self._database.execute(f"SET search_path = {literal(path)}")
        try:
            return self._database.execute(statement.sql, statement.params or None).fetchall()
        except duckdb.Error:
            return None

    def _make(self, changed: Changed) -> None:
        """A catalog in which that column's data are changed and everything else is as in the first one."""
        if changed in self._made:
            return
        self._made.add(changed)
        self._database.execute(f"ATTACH ':memory:' AS {changed.catalog}")
        for table in TABLES:
            self._database.execute(f"CREATE SCHEMA IF NOT EXISTS {changed.catalog}.{table.lake}")
            name, source = f"{changed.catalog}.{table.lake}.{table.name}", f"memory.{table.lake}.{table.name}"
            if (table.lake, table.name) == (changed.lake, changed.dataset):
                self._database.execute(f"CREATE TABLE {name} AS {changed.rows(source, table.rows)}")
            else:
                self._database.execute(f"CREATE VIEW {name} AS FROM {source}")

    def _dataset(self, table: SampleTable) -> CataloguedDataset:
        described = self._database.execute(f"DESCRIBE {table.lake}.{table.name}").fetchall()
        columns = tuple(DatasetColumn(name=row[0], type=row[1]) for row in described)
        return CataloguedDataset(table.lake, table.name, _SITE, "snp", table.rows, 1000, columns)


def _secret(dataset: CataloguedDataset) -> list[PlanColumn]:
    """Every column secret, each an origin of its own."""
    return [
        PlanColumn(
            name=column.name,
            type=column.type,
            label=Label(policy_class="secret", origins=[_origin(dataset.lake, dataset.name, column.name)]),
        )
        for column in dataset.columns
    ]


def _origin(lake: str, dataset: str, column: str) -> Origin:
    return Origin(lake=lake, dataset=dataset, column=column, policy_class="secret")


def _decides(column: tuple[str, str, str], label: Label) -> bool:
    """Whether what the label is of may depend on the column."""
    return any((each.lake, each.dataset, each.column) == column for each in label.origins)


def _counted(rows: Rows, kept: list[int]) -> Counter[str] | None:
    """Those columns of the rows, in no order."""
    return None if rows is None else Counter(repr([row[position] for position in kept]) for row in rows)
