"""Labels of steps: what lineage says of exactly the SQL that runs there, over exactly the inputs that it gets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from datacanal.planning.binding import Binding
from datacanal.planning.catalogue import CataloguedDataset
from datacanal.planning.lineage import Relation, TracedTable, check_leaving, output_labels, trace
from datacanal.planning.names import Occurrence
from datacanal.protocol.labels import Label
from datacanal.protocol.plan import PlanColumn, StepInput


def catalogued_tables(occurrences: Iterable[Occurrence]) -> dict[str, TracedTable]:
    """Occurrences as lineage sees them where their datasets are."""
    return {
        each.name: TracedTable(each.dataset.lake, each.dataset.name, columns_of(each.dataset)) for each in occurrences
    }


def input_tables(inputs: Sequence[StepInput]) -> dict[str, TracedTable]:
    """A step's inputs as lineage sees them."""
    return {each.occurrence: TracedTable(each.lake, each.dataset, each.columns) for each in inputs}


def columns_of(dataset: CataloguedDataset) -> list[PlanColumn]:
    """Every column of the dataset, with its label."""
    return [PlanColumn(name=column.name, type=column.type, label=column.label) for column in dataset.columns]


def traced(binding: Binding, tables: Mapping[str, TracedTable]) -> Relation:
    """The relation that a bound text gives over those tables."""
    return trace(binding.bound, tables, len(binding.columns))


def labelled(binding: Binding, relation: Relation) -> list[PlanColumn]:
    """The columns of a bound text with the labels under which they leave."""
    labels = output_labels(relation)
    return [
        PlanColumn(name=column.name, type=column.type, label=label)
        for column, label in zip(binding.columns, labels, strict=True)
    ]


def bare_columns(dataset: CataloguedDataset, positions: Sequence[int]) -> list[PlanColumn]:
    """What a scan of those columns of all rows gives; with none of them, the count of the rows."""
    rows = Label(owners=Label().joined(*(column.label for column in dataset.columns)).owners)
    chosen = [dataset.columns[position] for position in positions]
    if not chosen:
        return [PlanColumn(name="rows", type="BIGINT", label=rows)]
    return [PlanColumn(name=each.name, type=each.type, label=each.label.joined(rows)) for each in chosen]


def check_result(columns: Sequence[PlanColumn], relation: Relation) -> None:
    """Raise `PolicyRefused` unless the submitter may see all of it."""
    _check(columns, relation, inside_transfer=False)


def check_transfer(columns: Sequence[PlanColumn], relation: Relation) -> None:
    """Raise `PolicyRefused` unless it may travel to another site: free, or bare join keys."""
    _check(columns, relation, inside_transfer=True)


def _check(columns: Sequence[PlanColumn], relation: Relation, *, inside_transfer: bool) -> None:
    labels, names = [column.label for column in columns], [column.name for column in columns]
    check_leaving(labels, names, relation.reasons, inside_transfer=inside_transfer)
