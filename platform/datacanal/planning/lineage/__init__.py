"""What each column of a statement's result depends on, and whether that may leave: labels from DuckDB's bound plan.

Pure: the plan comes from `planning.bound_plan`. The planner and every kernel use this same code (docs/decisions/0004).
"""

from datacanal.planning.lineage.leaving import check_leaving
from datacanal.planning.lineage.protection import protected_labels
from datacanal.planning.lineage.relation import BaseColumn, Relation, Traced, TracedTable, output_labels
from datacanal.planning.lineage.tracing import trace

__all__ = [
    "BaseColumn",
    "Relation",
    "Traced",
    "TracedTable",
    "check_leaving",
    "output_labels",
    "protected_labels",
    "trace",
]
