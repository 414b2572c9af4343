"""How many rows a piece gives, guessed from DuckDB's plan of it and what is known of its datasets.

As every estimate, it only decides between plans that are all right.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from datacanal.planning.catalogue import CataloguedDataset
from datacanal.planning.estimates import STREAM_OVERHEAD_BYTES
from datacanal.planning.pieces import Piece
from datacanal.protocol.catalogue import ColumnStatistics, DatasetColumn
from datacanal.protocol.plan import Estimate

_FILTER = 0.3
_HALF = 0.5
_DISTINCT_WITHOUT_STATISTICS = 100
_BYTES_PER_VALUE = 6

_Plan = dict[str, Any]


def piece_estimate(piece: Piece, rows: Mapping[str, int]) -> Estimate:
    """Rows and wire bytes of what the piece gives; `rows` are those that each occurrence's scan gives."""
    found = max(round(_Rows(piece, rows).of(piece.binding.plan)), 1)
    width = sum(_column_bytes(piece, column.name, column.type) for column in piece.binding.columns)
    return Estimate(rows=found, bytes=STREAM_OVERHEAD_BYTES + round(found * width))


def group_estimate(piece: Piece, rows: Mapping[str, int], keys: Sequence[str], columns: int) -> Estimate:
    """The groups of the piece by columns of those names, `columns` wide in all."""
    most = piece_estimate(piece, rows).rows
    found = min(most, math.prod(_distinct(piece, key) for key in keys))
    return Estimate(rows=found, bytes=STREAM_OVERHEAD_BYTES + found * columns * _BYTES_PER_VALUE)


def column_statistics(piece: Piece, estimate: Estimate) -> list[ColumnStatistics]:
    """What is guessed of each column of its output."""
    return [
        ColumnStatistics(
            compressed_bytes=max(round(estimate.rows * _column_bytes(piece, column.name, column.type)), 1),
            distinct_count=min(_distinct(piece, column.name), estimate.rows),
        )
        for column in piece.binding.columns
    ]


def _column_bytes(piece: Piece, name: str, kind: str) -> float:
    """Bytes of one value: those of a dataset's column of that name and type, or what a value weighs as a rule."""
    for dataset, column in _named(piece, name):
        if column.type == kind and column.statistics is not None and dataset.rows:
            return column.statistics.compressed_bytes / dataset.rows
    return _BYTES_PER_VALUE


def _distinct(piece: Piece, name: str) -> int:
    counts = [c.statistics.distinct_count for _, c in _named(piece, name) if c.statistics is not None]
    known = [count for count in counts if count]
    return min(known) if known else _DISTINCT_WITHOUT_STATISTICS


def _named(piece: Piece, name: str) -> list[tuple[CataloguedDataset, DatasetColumn]]:
    datasets = [occurrence.dataset for occurrence in piece.occurrences]
    return [(d, column) for d in datasets for column in d.columns if column.name.lower() == name.lower()]


class _Rows:
    """The walk over a plan."""

    def __init__(self, piece: Piece, rows: Mapping[str, int]) -> None:
        self._piece = piece
        self._rows = rows

    def of(self, plan: _Plan) -> float:
        """The rows that an operator gives."""
        below = [self.of(child) for child in plan.get("children", [])]
        most = max(below, default=1.0)
        info = plan.get("extra_info") or {}
        match str(plan.get("name", "")).strip():
            case "SEQ_SCAN":
                return float(self._rows.get(str(info.get("Table", "")).partition(".")[0], 1))
            case "UNGROUPED_AGGREGATE":
                return 1.0
            case "FILTER":
                return most if _is_scan(plan["children"][0]) else most * _FILTER
            case "HASH_GROUP_BY" | "PERFECT_HASH_GROUP_BY" | "PARTITIONED_AGGREGATE":
                return min(most, self._groups(plan))
            case "LIMIT" | "STREAMING_LIMIT":
                return min(most, _limit(info.get("Limit")))
            case "TOP_N":
                return min(most, _limit(info.get("Top")))
            case "UNION":
                return sum(below)
            case "CROSS_PRODUCT":
                return math.prod(below)
            case "HASH_JOIN" | "NESTED_LOOP_JOIN" | "MERGE_JOIN" if str(info.get("Join Type")) in ("SEMI", "ANTI"):
                return below[0] * _HALF
        return most

    def _groups(self, plan: _Plan) -> float:
        names = _texts(plan["extra_info"].get("Groups"))
        projected = _texts((plan["children"][0].get("extra_info") or {}).get("Projections"))
        total = 1.0
        for name in names:
            position = name.removeprefix("#")
            is_known = position.isdigit() and int(position) < len(projected)
            total *= _distinct(self._piece, projected[int(position)] if is_known else name)
        return total


def _is_scan(plan: _Plan) -> bool:
    return str(plan.get("name", "")).strip() == "SEQ_SCAN"


def _limit(value: object) -> float:
    text = str(value)
    return float(text) if text.isdigit() else math.inf


def _texts(value: object) -> Sequence[str]:
    if isinstance(value, list):
        return [str(item) for item in value]
    return [] if value is None else [str(value)]
