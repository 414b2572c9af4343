"""What is known while a plan is walked: sources, common table expressions, and where governed columns were used."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from datacanal.planning.functions import is_allowed
from datacanal.planning.lineage.flow import Flow, Json, NotUnderstood
from datacanal.planning.lineage.relation import BaseColumn, TracedTable
from datacanal.planning.lineage.sources import Mask, Sources
from datacanal.planning.tree_walk import objects

SCAN = "seq_scan"
"""DuckDB's function that reads a table."""
_LEAVES = frozenset(
    {"LOGICAL_CHUNK_GET", "LOGICAL_CTE_REF", "LOGICAL_DUMMY_SCAN", "LOGICAL_EMPTY_RESULT", "LOGICAL_EXPRESSION_GET"}
)
_MOST_VISITS = 20_000
"""Nested recursions are walked until nothing changes: this bounds the work that a statement can ask for."""


class Walk:
    """One walk over one plan."""

    def __init__(self, tables: Mapping[str, TracedTable]) -> None:
        self.sources = Sources(tables)
        self.ctes: dict[int, Flow] = {}
        self.reasons: dict[str, str] = {}
        self.bounds: dict[BaseColumn, None] = {}
        self._visits = 0

    def visit(self) -> None:
        """Count an operator. Raises `NotUnderstood` when the plan has been walked for too long."""
        self._visits += 1
        if self._visits > _MOST_VISITS:
            raise NotUnderstood("too many operators")

    def governed(self, mask: Mask, used: str) -> Mask:
        """The governed part of it, remembered as used in that way."""
        found = mask & self.sources.governed
        if found:
            self.note(found, used)
        return found

    def note(self, mask: Mask, used: str) -> Mask:
        """Remember how governed columns were used; the first use of each is told. Gives the mask back."""
        for origin in self.sources.origins(mask):
            self.reasons.setdefault(f"{origin.lake}.{origin.dataset}.{origin.column}", used)
        return mask

    def bounded(self, base: BaseColumn, column: Mask) -> Mask:
        """A column as compared with a boundary of its policy; which column of which row is remembered."""
        self.bounds[base] = None
        return self.sources.bounded(column)

    def settled(self, flow: Flow) -> Flow:
        """The flow for an operator to which it matters how often rows repeat."""
        return flow if not flow.repeats else Flow(flow.columns, self.counted(flow), flow.below, flow.index)

    def counted(self, flow: Flow) -> Mask:
        """All that decides about its rows, repetitions remembered as used."""
        return flow.rows | self.note(flow.repeats, "in DISTINCT or GROUP BY")

    def below(self, node: Any) -> Mask:
        """Everything that a part of the plan reads, found without understanding it."""
        mask = 0
        for part in objects(node):
            match part.get("type"):
                case "LOGICAL_GET":
                    mask |= self._scanned(part)
                case "LOGICAL_CTE_REF" if part.get("cte_index") in self.ctes:
                    mask |= self.ctes[part["cte_index"]].below
                case str(kind) if kind.startswith("LOGICAL_") and not part.get("children") and kind not in _LEAVES:
                    mask |= self.sources.everything()
        return mask

    def _scanned(self, node: Json) -> Mask:
        """A table's sources, all there are for anything that is no table of the statement, none for arguments only."""
        name = str(node["qname"]["path"][-1])
        if name != SCAN and is_allowed(name, table=True):
            return 0
        occurrence = str((node.get("function_data") or {}).get("catalog"))
        return self.sources.table(occurrence) if occurrence in self.sources.tables else self.sources.everything()
