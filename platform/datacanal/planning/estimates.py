"""How many rows a scan gives and how many bytes they weigh on the wire, from the statistics in the catalogue.

An estimate is a guess with a reason, never a promise: plans are right whatever it says.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

from datacanal.planning.catalogue import CataloguedDataset
from datacanal.planning.filters import Expression
from datacanal.protocol.catalogue import DatasetColumn
from datacanal.protocol.plan import Estimate

STREAM_OVERHEAD_BYTES = 600
"""Schema, batch headers and end of an Arrow stream that holds next to nothing."""

_EQUALITY = 0.05
_RANGE = 0.3
_TEXT = 0.1
_OTHER = 0.5
_BYTES_PER_VALUE = 4


def scan_estimate(
    dataset: CataloguedDataset, columns: Sequence[int], condition: Expression | None, matched: float = 1.0
) -> Estimate:
    """Rows, wire bytes and scanned bytes of shipping those columns of the rows that fulfil the condition.

    `condition` names columns by the dataset's own names. Without columns only the count is shipped. `matched` is the
    share of rows that have the partners asked for.
    """
    if not columns:
        return Estimate(rows=1, bytes=STREAM_OVERHEAD_BYTES, scanned_bytes=0)
    share = matched * (selectivity(condition, dataset) if condition else 1.0)
    weight = sum(_column_bytes(dataset.columns[position], dataset.rows) for position in columns)
    return Estimate(
        rows=round(dataset.rows * share),
        bytes=STREAM_OVERHEAD_BYTES + round(weight * share),
        scanned_bytes=scanned_bytes(dataset, columns),
    )


def scanned_bytes(dataset: CataloguedDataset, columns: Sequence[int]) -> int:
    """Bytes of the columns' chunks in the dataset's files."""
    return sum(_column_bytes(dataset.columns[position], dataset.rows) for position in columns)


def selectivity(condition: Expression, dataset: CataloguedDataset) -> float:
    """The share of rows, 0 to 1, that fulfil the condition; conditions count as independent of each other."""
    columns = {column.name.lower(): column for column in dataset.columns}
    return _Share(columns, max(dataset.rows, 1)).of(condition)


def matched_share(
    dataset: CataloguedDataset, partner: CataloguedDataset, keys: Sequence[tuple[int, int]], kept: float
) -> float:
    """The share of the dataset's rows with a partner among the `kept` share of the partner's, by pairs of columns.

    Of two sets of keys the smaller one counts as part of the larger. Keys of unknown number are taken for unique in
    the partner, and for the partner's in the dataset.
    """
    rows = max(partner.rows, 1)
    there = _distinct(partner, [other for _, other in keys]) or rows
    here = _distinct(dataset, [own for own, _ in keys]) or there
    left = there * (1 - (1 - min(kept, 1.0)) ** (rows / there))
    return float(min(1.0, left / max(here, there)))


def _distinct(dataset: CataloguedDataset, positions: Sequence[int]) -> int | None:
    """How many different keys there are, were the columns independent; at most one a row."""
    found = 1
    for position in positions:
        statistics = dataset.columns[position].statistics
        if statistics is None or not statistics.distinct_count:
            return None
        found *= statistics.distinct_count
    return max(1, min(found, dataset.rows))


def _column_bytes(column: DatasetColumn, rows: int) -> int:
    if column.statistics is not None and column.statistics.compressed_bytes:
        return column.statistics.compressed_bytes
    return 0 if column.partition else rows * _BYTES_PER_VALUE


class _Share:
    """The walk over a condition."""

    def __init__(self, columns: dict[str, DatasetColumn], rows: int) -> None:
        self._columns = columns
        self._rows = rows

    def of(self, expression: Expression) -> float:
        """The share of rows that fulfil the expression."""
        match expression.get("class"):
            case "CONJUNCTION":
                return self._conjunction(expression)
            case "COMPARISON":
                return self._comparison(str(expression["type"]), expression["left"], expression["right"])
            case "BETWEEN":
                above = self._comparison("COMPARE_GREATERTHANOREQUALTO", expression["input"], expression["lower"])
                below = self._comparison("COMPARE_LESSTHANOREQUALTO", expression["input"], expression["upper"])
                return max(above + below - 1, 0.0) if above + below > 1 else above * below
            case "OPERATOR":
                return self._operator(str(expression["type"]), expression["children"])
            case "FUNCTION":
                return 1 - _TEXT if str(expression.get("function_name")).startswith("!") else _TEXT
        return _OTHER

    def _conjunction(self, expression: Expression) -> float:
        shares = [self.of(child) for child in expression["children"]]
        result = 1.0
        if expression["type"] == "CONJUNCTION_AND":
            for share in shares:
                result *= share
            return result
        for share in shares:
            result *= 1 - share
        return 1 - result

    def _operator(self, kind: str, children: list[Expression]) -> float:
        match kind:
            case "OPERATOR_NOT":
                return 1 - self.of(children[0])
            case "OPERATOR_IS_NULL":
                return self._nulls(self._column(children[0]))
            case "OPERATOR_IS_NOT_NULL":
                return 1 - self._nulls(self._column(children[0]))
            case "COMPARE_IN":
                return min(1.0, self._equality(self._column(children[0])) * (len(children) - 1))
        return _OTHER

    def _comparison(self, kind: str, left: Expression, right: Expression) -> float:
        column, constant = self._column(left), _constant(right)
        if column is None:
            column, constant, kind = self._column(right), _constant(left), _MIRRORED.get(kind, kind)
        present = 1 - self._nulls(column)
        match kind:
            case "COMPARE_EQUAL" | "COMPARE_NOT_DISTINCT_FROM":
                return present * self._equality(column)
            case "COMPARE_NOTEQUAL" | "COMPARE_DISTINCT_FROM":
                return present * (1 - self._equality(column))
        below = _position(column, constant)
        if below is None:
            return present * _RANGE
        return present * (below if "LESSTHAN" in kind else 1 - below)

    def _column(self, expression: Expression) -> DatasetColumn | None:
        if expression.get("class") == "CAST":
            return self._column(expression["child"])
        if expression.get("class") != "COLUMN_REF":
            return None
        return self._columns.get(str(expression["column_names"][-1]).lower())

    def _nulls(self, column: DatasetColumn | None) -> float:
        if column is None or column.statistics is None or column.statistics.null_count is None:
            return 0.0
        return min(1.0, column.statistics.null_count / self._rows)

    def _equality(self, column: DatasetColumn | None) -> float:
        if column is None or column.statistics is None or not column.statistics.distinct_count:
            return _EQUALITY
        return 1 / column.statistics.distinct_count


_MIRRORED = {
    "COMPARE_LESSTHAN": "COMPARE_GREATERTHAN",
    "COMPARE_GREATERTHAN": "COMPARE_LESSTHAN",
    "COMPARE_LESSTHANOREQUALTO": "COMPARE_GREATERTHANOREQUALTO",
    "COMPARE_GREATERTHANOREQUALTO": "COMPARE_LESSTHANOREQUALTO",
}


def _constant(expression: Expression) -> str | None:
    if expression.get("class") == "CAST":
        return _constant(expression["child"])
    literal: Any = expression.get("literal")
    return str(literal.get("text", "")) if isinstance(literal, dict) else None


def _position(column: DatasetColumn | None, constant: str | None) -> float | None:
    """Where, 0 to 1, the constant lies between the column's least and greatest value, were they spread evenly."""
    if column is None or column.statistics is None or constant is None:
        return None
    bounds = (column.statistics.min, column.statistics.max, constant)
    numbers = [None if text is None else _number(text, column.type) for text in bounds]
    low, high, value = numbers
    if low is None or high is None or value is None:
        return None
    if high <= low:
        return 1.0 if value >= high else 0.0
    return min(1.0, max(0.0, (value - low) / (high - low)))


def _number(text: str, kind: str) -> float | None:
    bare = text.partition("::")[0].strip().strip("'")
    try:
        if kind == "DATE":
            return float(date.fromisoformat(bare[:10]).toordinal())
        if kind.startswith("TIMESTAMP"):
            return _seconds(bare)
        return float(bare)
    except ValueError:
        return None


def _seconds(text: str) -> float:
    moment = datetime.fromisoformat(text[:19])
    return moment.toordinal() * 86400.0 + moment.hour * 3600 + moment.minute * 60 + moment.second
