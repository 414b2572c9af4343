"""What planning asks of DuckDB: read a statement, print a tree, bind a statement over empty tables.

Planning owns this port. `DuckDBBinder` answers it inside a process, `control.binders.BinderPool` from limited children.
"""

from __future__ import annotations

from typing import Any, Protocol

from pydantic import Field, JsonValue

from datacanal.protocol.base import Document

Tree = dict[str, Any]
"""The JSON of DuckDB's `json_serialize_sql`."""


class NamedType(Document):
    """A column: its name and its DuckDB type as DuckDB writes it."""

    name: str
    type: str


class BoundTable(Document):
    """One occurrence of a dataset: the view `occurrence.lake.dataset` over an empty table."""

    occurrence: str
    lake: str
    dataset: str
    columns: list[NamedType]


class Question(Document):
    """One statement to bind with its parameters."""

    sql: str
    params: dict[str, JsonValue] = Field(default_factory=dict)
    describe: bool = Field(default=True, description="also ask for the names and types of the result's columns")
    lineage: bool = Field(default=False, description="also ask for the bound plan that labels are read from")


class BindRequest(Document):
    """Statements over the same tables. `prefix` begins the names of the base tables' columns, see `column_prefix`.

    It must not be guessable by whoever wrote the statements, so that a name in the plan can only mean the column.
    """

    tables: list[BoundTable]
    questions: list[Question]
    now: str
    prefix: str


BASE_SCHEMA, BASE_TABLE = "datacanal base", "t"
"""Where the base table of an occurrence's view stands in its catalog; no lake's name holds a space."""


def column_prefix(prefix: str, occurrence: str) -> str:
    """What the names of an occurrence's base columns begin with; the column's position follows."""
    return f"{prefix}{occurrence}_"


class Binding(Document):
    """One bound statement: its result's columns and DuckDB's physical plan (the root of `EXPLAIN (FORMAT JSON)`).

    `bound` is the root of its unoptimised plan (`json_serialize_plan`), None where not asked or not to be had.
    """

    columns: list[NamedType]
    plan: dict[str, Any]
    bound: dict[str, Any] | None = None


class Binder(Protocol):
    """Raises `StatementError`s; an answer that takes too long or too much memory is `PlanningTooExpensive`."""

    def parse(self, sql: str) -> Tree:
        """The tree of the text, or the object with `error` that DuckDB gives for text that it cannot read."""
        ...

    def print_checked(self, tree: Tree) -> str:
        """The text of the tree, proved by reading it again: the two trees mean the same."""
        ...

    def bind(self, request: BindRequest) -> list[Binding]:
        """Bind each statement, in order. The first that does not bind raises."""
        ...

    @property
    def kernel(self) -> str:
        """The DuckDB version that binds."""
        ...
