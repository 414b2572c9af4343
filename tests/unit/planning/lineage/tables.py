"""Two small tables whose every column is secret: what a statement over them depends on, in short."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from datacanal.planning.binding import Binding, BindRequest, BoundTable, NamedType, Question
from datacanal.planning.duckdb_binder import DuckDBBinder
from datacanal.planning.lineage import Relation, TracedTable, trace
from datacanal.protocol.labels import Label, Origin
from datacanal.protocol.plan import PlanColumn

NOW = "2026-01-02T03:04:05+00:00"
COLUMNS = {
    "t": {"a": "INTEGER", "b": "INTEGER", "c": "VARCHAR", "l": "INTEGER[]"},
    "u": {"a": "INTEGER", "d": "INTEGER"},
}
EVERYTHING = "t.a t.b t.c t.l u.a u.d"

_T, _U = "occ0.x.t", "occ1.x.u"


def tables() -> dict[str, TracedTable]:
    """`occ0.x.t` and `occ1.x.u`."""
    return {
        f"occ{number}": TracedTable("x", name, [_column(name, *each) for each in columns.items()])
        for number, (name, columns) in enumerate(COLUMNS.items())
    }


def _column(table: str, name: str, kind: str) -> PlanColumn:
    origin = Origin(lake="x", dataset=table, column=name, policy_class="secret")
    return PlanColumn(name=name, type=kind, label=Label(policy_class="secret", origins=[origin]))


class Tables:
    """The binder over the two tables; in statements they are called `t` and `u` behind FROM and JOIN."""

    def __init__(self) -> None:
        self._binder = DuckDBBinder()

    def close(self) -> None:
        """End the binder."""
        self._binder.close()

    def bind(self, sql: str, params: Mapping[str, Any] | None = None) -> Binding:
        """The statement bound, its plan with it."""
        for name, full in (("t", _T), ("u", _U)):
            sql = sql.replace(f"@{name}", full)
        bound = [
            BoundTable(
                occurrence=occurrence,
                lake=table.lake,
                dataset=table.dataset,
                columns=[NamedType(name=column.name, type=column.type) for column in table.columns],
            )
            for occurrence, table in tables().items()
        ]
        question = Question(sql=sql, params=dict(params or {}), lineage=True)
        return self._binder.bind(BindRequest(tables=bound, questions=[question], now=NOW, prefix="c"))[0]

    def trace(self, sql: str, params: Mapping[str, Any] | None = None) -> Relation:
        """The statement traced."""
        binding = self.bind(sql, params)
        return trace(binding.bound, tables(), len(binding.columns))

    def depends(self, sql: str, params: Mapping[str, Any] | None = None) -> tuple[list[str], str]:
        """What each column depends on, and what the rows do: names, sorted, with a space between."""
        return dependencies(self.trace(sql, params))


def dependencies(relation: Relation) -> tuple[list[str], str]:
    """The columns' and the shape's origins in short."""
    return [_names(column.label) for column in relation.columns], _names(relation.shape)


def _names(label: Label) -> str:
    return " ".join(sorted(f"{origin.dataset}.{origin.column}" for origin in label.origins))


def operators(plan: Any) -> Iterator[dict[str, Any]]:
    """Every operator of a plan, the root first."""
    yield plan
    for child in plan.get("children", []):
        yield from operators(child)
