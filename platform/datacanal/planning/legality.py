"""What may travel to where: legal first, cheap second."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from datacanal.domain.errors import NoLegalPlan
from datacanal.planning.catalogue import CataloguedDataset
from datacanal.protocol.catalogue import DatasetColumn
from datacanal.protocol.labels import Label
from datacanal.protocol.plan import PlanColumn

_AGGREGATED = "aggregate"


def may_travel(label: Label) -> bool:
    """Whether a value may go to another site inside a transfer."""
    return label.is_free or label.policy_class == "join_key"


def bound_columns(dataset: CataloguedDataset, positions: Sequence[int]) -> list[str]:
    """Names of what keeps those columns at their site; empty where all of them may travel."""
    held = [column for position in positions if not may_travel((column := dataset.columns[position]).label)]
    names = [name for column in held for name in _names(dataset, column)]
    return list(dict.fromkeys(names))


def no_legal_plan(held: Mapping[str, Sequence[str]], classes: Mapping[str, str]) -> NoLegalPlan:
    """The refusal where no site will do. `held` names by site what may not leave it, `classes` the class of each."""
    columns = [name for names in held.values() for name in names]
    reason = "; ".join(f"{_listed(names)} may not leave {site}" for site, names in held.items())
    never = [name for name in columns if classes.get(name) != _AGGREGATED]
    return NoLegalPlan(columns=_listed(columns), reason=f"{reason}.", hint=_hint(never, held))


def stays(names: Sequence[str]) -> str:
    """Why a site will not do, in words."""
    return f"{_listed(names)} may not leave {'its' if len(names) == 1 else 'their'} site"


def classes_of(columns: Sequence[PlanColumn | DatasetColumn]) -> dict[str, str]:
    """The class of each governed column that the labels name."""
    return {
        f"{origin.lake}.{origin.dataset}.{origin.column}": origin.policy_class
        for column in columns
        for origin in column.label.origins
    }


def _names(dataset: CataloguedDataset, column: DatasetColumn) -> list[str]:
    if not dataset.is_output:
        return [f"{dataset.qualified_name}.{column.name}"]
    origins = [origin for origin in column.label.origins if not origin.released]
    return [f"{origin.lake}.{origin.dataset}.{origin.column}" for origin in origins]


def _hint(never: Sequence[str], held: Mapping[str, Sequence[str]]) -> str:
    if never:
        return f"Leave {_listed(never)} out of the statement, or ask the data's owner for another class."
    each = " and ".join(_listed(names) for names in held.values())
    return (
        f"Aggregate (count, sum, avg) or filter {each} each in a subquery of its own, so that it runs at its own site; "
        "group by public columns and join on those."
    )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(dict.fromkeys(names))
