"""The binder over one long-lived, hardened DuckDB connection. Statements are parsed and explained, never run.

Nothing passes from one statement to the next: each gets catalogs of its own, detached afterwards, and what could
change the session is on no allow-list.
"""

from __future__ import annotations

import json
from typing import Any

import duckdb

from datacanal.domain.errors import ConstructNotAllowed, PlanningTooExpensive, SqlTooDeep, UserError
from datacanal.planning.bind_errors import translate
from datacanal.planning.binding import Binding, BindRequest, BoundTable, NamedType, Question, Tree
from datacanal.planning.bound_plan import bound_plan
from datacanal.planning.canonical import same_meaning
from datacanal.planning.instant import INSTANT_FUNCTIONS, instant_statements
from datacanal.planning.stand_ins import KeptStandIns
from datacanal.planning.text import MAX_DEPTH

_USEFUL_OPTIMIZERS = frozenset(
    {
        "expression_rewriter",
        "filter_pullup",
        "filter_pushdown",
        "cte_filter_pusher",
        "regex_range",
        "in_clause",
        "deliminator",
        "unnest_rewriter",
        "unused_columns",
        "outer_join_simplification",
        "cte_inlining",
    }
)
"""Rewrites that hold for any data. Those that look at row counts or statistics would learn from tables being empty."""

_HARDENING = (
    "SET python_enable_replacements = false",
    "SET allow_community_extensions = false",
    "SET autoinstall_known_extensions = false",
    "SET autoload_known_extensions = false",
    "SET allow_persistent_secrets = false",
    "SET temp_directory = ''",
    "SET TimeZone = 'UTC'",
    "SET explain_output = 'physical_only'",
    "SET enable_external_access = false",
)

_PARSE = (
    "SELECT json_serialize_sql($sql::VARCHAR, skip_null := true, skip_empty := true, skip_default := true)::VARCHAR"
)
_PRINT = "SELECT json_deserialize_sql($tree::JSON)"
_EPOCH = "1970-01-01T00:00:00+00:00"


class DuckDBBinder:
    """A `Binder` inside this process, for one thread. Its deadline and memory limit are the caller's care."""

    def __init__(self, memory_limit_mib: int = 256) -> None:
        self._connection = duckdb.connect(config={"threads": 1, "memory_limit": f"{memory_limit_mib}MiB"})
        for statement in (*_HARDENING, *instant_statements(_EPOCH)):
            self._connection.execute(statement)
        listed = self._connection.execute("SELECT name FROM duckdb_optimizers()").fetchall()
        disabled = ",".join(name for (name,) in listed if name not in _USEFUL_OPTIMIZERS)
        self._connection.execute(f"SET disabled_optimizers = '{disabled}'")
        self._connection.execute("SET lock_configuration = true")
        self._stand_ins = KeptStandIns(self._connection)
        self._now = _EPOCH

    @property
    def kernel(self) -> str:
        """The DuckDB version that binds."""
        return duckdb.__version__

    def close(self) -> None:
        """End the connection."""
        self._connection.close()

    def parse(self, sql: str) -> Tree:
        """See `Binder.parse`."""
        return _decoded(self._scalar(_PARSE, sql=sql))

    def print_checked(self, tree: Tree) -> str:
        """See `Binder.print_checked`."""
        try:
            text = self._scalar(_PRINT, tree=json.dumps(tree))
        except duckdb.Error as error:
            raise _cannot_prove() from error
        if not same_meaning(tree, self.parse(text)):
            raise _cannot_prove()
        return text

    def bind(self, request: BindRequest) -> list[Binding]:
        """See `Binder.bind`."""
        self._set_clock(request)
        self._stand_ins.become(request.tables, request.prefix)
        return [self._bind(question, request.tables) for question in request.questions]

    def _bind(self, question: Question, tables: list[BoundTable]) -> Binding:
        params = dict(question.params)
        try:
            plan = self._rows(f"EXPLAIN (FORMAT JSON) {question.sql}", params)
            columns = self._rows(f"DESCRIBE {question.sql}", params) if question.describe else []
        except duckdb.Error as error:
            raise translate(error, tables) from None
        except (OverflowError, ValueError) as error:
            raise _bad_parameters(error, params) from None
        bound = bound_plan(self._connection, question.sql, params) if question.lineage else None
        named = [NamedType(name=row[0], type=row[1]) for row in columns]
        return Binding(columns=named, plan=_root(plan), bound=bound)

    def _set_clock(self, request: BindRequest) -> None:
        """Fix the instant; skipped, for speed, where no statement can ask for it."""
        asked = any(name in question.sql.lower() for question in request.questions for name in INSTANT_FUNCTIONS)
        if asked and request.now != self._now:
            for statement in instant_statements(request.now):
                self._connection.execute(statement)
            self._now = request.now

    def _scalar(self, statement: str, **params: str) -> str:
        try:
            return str(self._rows(statement, params)[0][0])
        except duckdb.OutOfMemoryException:
            raise PlanningTooExpensive(limit="its memory") from None

    def _rows(self, statement: str, params: dict[str, Any]) -> list[tuple[Any, ...]]:
        return self._connection.execute(statement, params).fetchall()


def _root(rows: list[tuple[Any, ...]]) -> dict[str, Any]:
    plans = json.loads(rows[0][1])
    return dict(plans[0])


def _decoded(text: str) -> Tree:
    try:
        return dict(json.loads(text))
    except RecursionError:
        raise SqlTooDeep(limit=MAX_DEPTH) from None


def _cannot_prove() -> ConstructNotAllowed:
    return ConstructNotAllowed(
        construct="A part of this statement, which cannot be written back as it was read,",
        hint="Write it in another way; take parts out to find which one it is.",
    )


def _bad_parameters(error: Exception, params: dict[str, Any]) -> UserError:
    return translate(duckdb.InvalidInputException(f"{error} in parameters: {', '.join(params)}"), [])
