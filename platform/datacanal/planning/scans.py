"""What each occurrence must deliver, read from DuckDB's own optimised plan: needed columns and filters at the scan.

The base tables' columns carry names that no statement can hold, so such a name in the plan is that column and nothing
else. What is not understood costs bytes, never correctness: all columns, no filter.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from datacanal.planning.binding import column_prefix

_OPTIONAL = "optional:"

_KNOWN_OPERATORS = frozenset(
    """
    ASOF_JOIN BLOCKWISE_NL_JOIN COLUMN_DATA_SCAN CROSS_PRODUCT CTE CTE_SCAN DELIM_JOIN DELIM_SCAN DUMMY_SCAN
    EMPTY_RESULT EXCEPT EXPRESSION_SCAN FILTER HASH_GROUP_BY HASH_JOIN IE_JOIN INOUT_FUNCTION INTERSECT
    LEFT_DELIM_JOIN LIMIT LIMIT_PERCENT MERGE_JOIN NESTED_LOOP_JOIN ORDER_BY PARTITIONED_AGGREGATE
    PERFECT_HASH_GROUP_BY PIECEWISE_MERGE_JOIN PIVOT POSITIONAL_JOIN POSITIONAL_SCAN PROJECTION RECURSIVE_CTE
    REC_CTE REC_CTE_SCAN REC_KEY_CTE REC_REC_CTE_SCAN RESERVOIR_SAMPLE RIGHT_DELIM_JOIN SEQ_SCAN STREAMING_LIMIT
    STREAMING_SAMPLE STREAMING_WINDOW TABLE_FUNCTION TOP_N UNGROUPED_AGGREGATE UNION UNNEST WINDOW
    """.split()  # noqa: SIM905  # one word list reads better than fifty quoted strings
)
"""Operators that show their inputs as children, so that a scan below them cannot go unseen."""


@dataclass(frozen=True)
class Scan:
    """One scan of the plan. `columns` are positions, `None` where some name is not understood. `filters` are texts."""

    columns: frozenset[int] | None
    filters: tuple[str, ...]


@dataclass
class Demand:
    """What one occurrence must deliver. Without scans it only has to have the right number of rows."""

    scans: list[Scan] = field(default_factory=list)

    def columns(self, count: int) -> list[int]:
        """Positions of the needed columns among `count`, in order."""
        if any(scan.columns is None for scan in self.scans):
            return list(range(count))
        return sorted({position for scan in self.scans for position in scan.columns or ()})


def read_demands(plan: dict[str, Any], occurrences: list[str], prefix: str) -> dict[str, Demand]:
    """Each occurrence's demand, from the root of the physical plan of the statement over empty tables."""
    demands = {occurrence: Demand() for occurrence in occurrences}
    for node, parent in _operators(plan):
        name = str(node.get("name", "")).strip()
        if name not in _KNOWN_OPERATORS:
            return {occurrence: Demand([Scan(None, ())]) for occurrence in occurrences}
        if name == "SEQ_SCAN":
            occurrence = str(node["extra_info"].get("Table", "")).partition(".")[0]
            demands[occurrence].scans.append(_scan(node, parent, column_prefix(prefix, occurrence)))
    return demands


def _operators(plan: dict[str, Any]) -> Iterator[tuple[dict[str, Any], dict[str, Any] | None]]:
    stack: list[tuple[dict[str, Any], dict[str, Any] | None]] = [(plan, None)]
    while stack:
        node, parent = stack.pop()
        yield node, parent
        stack.extend((child, node) for child in node.get("children", []))


def _scan(node: dict[str, Any], parent: dict[str, Any] | None, prefix: str) -> Scan:
    info = node["extra_info"]
    filters = [text for text in _texts(info.get("Filters")) if text and not text.startswith(_OPTIONAL)]
    if parent is not None and parent.get("name") == "FILTER":
        filters += _texts(parent["extra_info"].get("Expression"))
    return Scan(_columns(_texts(info.get("Projections")), filters, prefix), tuple(filters))


def _columns(projections: list[str], filters: list[str], prefix: str) -> frozenset[int] | None:
    pattern = re.compile(rf"{re.escape(prefix)}(\d+)(?!\w)")
    found = [pattern.match(text) for text in projections if text]
    if not all(found):
        return None
    needed = {int(match[1]) for match in found if match}
    return frozenset(needed | {int(position) for text in filters for position in pattern.findall(text)})


def _texts(value: object) -> list[str]:
    if isinstance(value, list):
        return [str(item) for item in value]
    return [] if value is None else [str(value)]
