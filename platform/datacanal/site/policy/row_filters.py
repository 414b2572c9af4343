"""Row filters: one condition over one dataset's columns that DuckDB reads, and that means the same every time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from datacanal.domain.errors import ColumnNotFound, StatementError
from datacanal.planning.binding import BindRequest, BoundTable, NamedType, Question, Tree
from datacanal.planning.duckdb_binder import DuckDBBinder
from datacanal.planning.gate import check_tree
from datacanal.planning.instant import INSTANT_FUNCTIONS
from datacanal.planning.quoting import identifier
from datacanal.planning.tree_walk import objects

VOLATILE = INSTANT_FUNCTIONS | frozenset(
    "current_database current_schema error gen_random_uuid random uuid uuidv4 uuidv7".split()  # noqa: SIM905  # a list
)
"""Allowed functions that do not give the same for the same arguments; a test holds the list against DuckDB's own."""
_CLOCK_WORDS = frozenset({"current_date", "current_time", "current_timestamp", "localtime", "localtimestamp"})
_SESSION_WORDS = frozenset(
    {"current_schema", "user", "current_user", "session_user", "current_role", "current_catalog"}
)
"""Words that DuckDB takes for what the session is, unless the dataset has a column of that name."""
_REFUSED = {
    "SUBQUERY": ("has a subquery, and may read its own dataset only", "Write a condition over this dataset's columns."),
    "WINDOW": ("uses a window function", "Write a condition that holds or not for a row alone."),
    "STAR": ("uses * or COLUMNS", "Name each column."),
    "PARAMETER": ("has a parameter", "Write the value."),
}
_EMPTY = "1970-01-01T00:00:00+00:00"
_PREFIX = "datacanal_raw_"


class FilterRefused(Exception):
    """`words` are the engine's own and may quote the filter."""

    def __init__(self, reason: str, remedy: str, words: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.remedy = remedy
        self.words = words


class RowFilters:
    """Reads filters with a binder of its own, opened with the first. For one thread at a time."""

    def __init__(self) -> None:
        self._opened: DuckDBBinder | None = None

    def read(self, text: str) -> str:
        """The filter printed again from its tree. Raises `FilterRefused`."""
        try:
            return self._binder.print_checked(self._checked(text)).removeprefix("SELECT ")
        except StatementError as error:
            raise FilterRefused("the row filter cannot be read as a condition", error.remedy, error.detail) from None

    def fit(self, text: str, dataset: str, columns: Sequence[NamedType]) -> str:
        """The filter printed again, if it is a condition over those columns. Raises `FilterRefused`."""
        condition = self.read(text)
        _check_words(self._checked(condition), columns)
        table = BoundTable(occurrence="occ0", lake="lake", dataset=dataset, columns=list(columns))
        name = f"occ0.lake.{identifier(dataset)}"
        value = Question(sql=f"SELECT ({condition}) FROM {name}")  # noqa: S608  # printed from a checked tree
        where = Question(sql=f"SELECT 1 FROM {name} WHERE ({condition})", describe=False)  # noqa: S608  # as above
        try:
            bound = self._binder.bind(BindRequest(tables=[table], questions=[value, where], now=_EMPTY, prefix=_PREFIX))
        except ColumnNotFound as error:
            reason = "the row filter names a column that the dataset does not have"
            raise FilterRefused(reason, error.remedy, error.detail) from None
        except StatementError as error:
            raise FilterRefused("the row filter does not fit the dataset", error.remedy, error.detail) from None
        if (found := bound[0].columns[0].type) != "BOOLEAN":
            raise FilterRefused(f"the row filter gives {found}, not true or false", "Write a comparison.")
        return condition

    def _checked(self, text: str) -> Tree:
        tree = self._binder.parse(f"SELECT {text}\n")
        condition = _condition(tree, text)
        check_tree(tree, text)
        _check_nodes(condition)
        return tree

    @property
    def _binder(self) -> DuckDBBinder:
        if self._opened is None:
            self._opened = DuckDBBinder()
        return self._opened


def _condition(tree: Tree, text: str) -> dict[str, Any]:
    if tree.get("error"):
        check_tree(tree, text)
    statements = tree.get("statements") or []
    node = statements[0]["node"] if len(statements) == 1 else {}
    selected = node.get("select_list", [])
    is_bare = set(node) <= {"type", "cte_map", "select_list", "from_table", "aggregate_handling"}
    is_bare = is_bare and node.get("from_table", {}).get("type") == "EMPTY"
    if not is_bare or len(selected) != 1 or selected[0].get("alias"):
        raise FilterRefused("the row filter is more than one condition", "Write what stands after WHERE, nothing else.")
    return dict(selected[0])


def _check_nodes(condition: dict[str, Any]) -> None:
    for node in objects(condition):
        kind = str(node.get("class"))
        if kind in _REFUSED:
            reason, remedy = _REFUSED[kind]
            raise FilterRefused(f"the row filter {reason}", remedy)
        if str(node.get("function_name", "")).lower() in VOLATILE or _word(node) in _CLOCK_WORDS:
            raise _volatile()


def _check_words(condition: dict[str, Any], columns: Sequence[NamedType]) -> None:
    known = {column.name.lower() for column in columns}
    if any(_word(node) in _SESSION_WORDS - known for node in objects(condition)):
        raise _volatile()


def _word(node: dict[str, Any]) -> str:
    """The name, in lower case, that stands alone and without a dot; else nothing."""
    names = node.get("column_names") or []
    return str(names[0]).lower() if len(names) == 1 else ""


def _volatile() -> FilterRefused:
    reason = "the row filter uses the clock, chance or the session: it would not mean the same every time"
    return FilterRefused(reason, "Write the date or value, and change the policy when it changes.")
