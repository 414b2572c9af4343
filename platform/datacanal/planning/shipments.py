"""What each occurrence would put on the wire if it had to move, and the scans of those that do.

Proposals are cheap: columns and a condition from the statement's plan, with estimates. Only what really moves is
settled: its condition is proved and its SQL written.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from datacanal.domain.errors import StatementError
from datacanal.planning.binding import Binder, BindRequest, BoundTable, NamedType, Question, Tree, column_prefix
from datacanal.planning.estimates import scan_estimate
from datacanal.planning.filters import Expression, conjunction, is_pushable, key, read_filters, with_own_names
from datacanal.planning.names import Occurrence
from datacanal.planning.quoting import identifier
from datacanal.planning.scans import Demand, read_demands
from datacanal.planning.text import check_text
from datacanal.protocol.plan import Estimate

_Conjuncts = tuple[Expression, ...]


@dataclass(frozen=True)
class Proposal:
    """An occurrence as it would travel; without columns only its count does.

    `alternatives` are the conjuncts of each of its scans, in base names: a row travels that fulfils one of them.
    `condition` says the same in the dataset's own names. `unfiltered` and `whole` say what leaving the filter, or also
    unneeded columns, would cost.
    """

    occurrence: Occurrence
    columns: tuple[int, ...]
    alternatives: tuple[_Conjuncts, ...]
    condition: Expression | None
    estimate: Estimate
    unfiltered: Estimate
    whole: Estimate

    @property
    def identity(self) -> tuple[str, tuple[int, ...], str]:
        """Equal for proposals that carry the same rows and columns."""
        condition = key(self.condition) if self.condition else ""
        return (self.occurrence.dataset.qualified_name, self.columns, condition)

    def without_filter(self) -> Proposal:
        """The same with all rows."""
        return dataclasses.replace(self, alternatives=(), condition=None, estimate=self.unfiltered)


@dataclass(frozen=True)
class Shipment:
    """A proposal settled: the scan's SQL, and its condition as text, empty where all rows travel."""

    proposal: Proposal
    sql: str
    condition: str


def propose(
    binder: Binder, occurrences: Sequence[Occurrence], demands: Mapping[str, Demand], prefix: str
) -> list[Proposal]:
    """One proposal for each occurrence, in their order."""
    alternatives = _alternatives(binder, occurrences, demands, prefix)
    return [
        _proposal(occurrence, demands[occurrence.name], alternatives.get(occurrence.name, ()), prefix)
        for occurrence in occurrences
    ]


def settle(binder: Binder, proposals: Sequence[Proposal], prefix: str, now: str) -> list[Shipment]:
    """Prove and write the scans. A condition that cannot be proved is left out: all rows travel then."""
    written = [_written(binder, proposal) for proposal in proposals]
    questions = [(each.proposal, part) for each in written for part in _to_prove(binder, each, prefix)]
    shown = _shown_filters(binder, [(proposal.occurrence, sql) for proposal, (sql, _) in questions], prefix, now)
    refuted = {
        proposal.occurrence.name
        for (proposal, (_, conjuncts)), filters in zip(questions, shown, strict=True)
        if filters is None or set(map(key, filters)) != set(map(key, conjuncts))
    }
    return [
        _plain(each.proposal.without_filter()) if each.proposal.occurrence.name in refuted else each for each in written
    ]


def bound_table(occurrence: Occurrence) -> BoundTable:
    """The occurrence as the binder needs it."""
    return BoundTable(
        occurrence=occurrence.name,
        lake=occurrence.dataset.lake,
        dataset=occurrence.dataset.name,
        columns=_named_types(occurrence),
    )


def _named_types(occurrence: Occurrence) -> list[NamedType]:
    return [NamedType(name=column.name, type=column.type) for column in occurrence.dataset.columns]


def _alternatives(
    binder: Binder, occurrences: Sequence[Occurrence], demands: Mapping[str, Demand], prefix: str
) -> dict[str, tuple[_Conjuncts, ...]]:
    """By occurrence the conjuncts that may go down, for each of its scans; none where a scan has no such conjunct."""
    filtered = [o for o in occurrences if demands[o.name].scans and all(s.filters for s in demands[o.name].scans)]
    read = iter(read_filters(binder, [scan.filters for o in filtered for scan in demands[o.name].scans]))
    found = {}
    for occurrence in filtered:
        columns, own = _named_types(occurrence), column_prefix(prefix, occurrence.name)
        alternatives: dict[str, _Conjuncts] = {}
        for _ in demands[occurrence.name].scans:
            pushable = tuple(e for e in next(read) or () if is_pushable(e, columns, own))
            alternatives["&".join(sorted(map(key, pushable)))] = pushable
        if "" not in alternatives:
            found[occurrence.name] = tuple(alternatives.values())
    return found


def _proposal(occurrence: Occurrence, demand: Demand, alternatives: tuple[_Conjuncts, ...], prefix: str) -> Proposal:
    dataset = occurrence.dataset
    columns = tuple(demand.columns(len(dataset.columns)))
    condition = None
    if alternatives:
        either = conjunction("OR", [conjunction("AND", conjuncts) for conjuncts in alternatives])
        condition = _own(either, occurrence, prefix)
    return Proposal(
        occurrence=occurrence,
        columns=columns,
        alternatives=alternatives,
        condition=condition,
        estimate=scan_estimate(dataset, columns, condition),
        unfiltered=scan_estimate(dataset, columns, None),
        whole=scan_estimate(dataset, range(len(dataset.columns)), None),
    )


def _own(expression: Expression, occurrence: Occurrence, prefix: str) -> Expression:
    renamed = with_own_names(expression, _named_types(occurrence), column_prefix(prefix, occurrence.name))
    return dict(renamed)


def _written(binder: Binder, proposal: Proposal) -> Shipment:
    if proposal.condition is None:
        return _plain(proposal)
    try:
        sql = binder.print_checked(_scan_tree(proposal.occurrence, proposal.columns, proposal.condition))
        check_text(sql)
    except StatementError:
        return _plain(proposal.without_filter())
    return Shipment(proposal, sql, sql.partition(" WHERE ")[2])


def _plain(proposal: Proposal) -> Shipment:
    dataset = proposal.occurrence.dataset
    wanted = ", ".join(identifier(dataset.columns[position].name) for position in proposal.columns)
    table = f"{proposal.occurrence.name}.{identifier(dataset.lake)}.{identifier(dataset.name)}"
    return Shipment(proposal, f"SELECT {wanted or 'count(*) AS rows'} FROM {table}", "")  # noqa: S608  # quoted


def _to_prove(binder: Binder, shipment: Shipment, prefix: str) -> list[tuple[str, _Conjuncts]]:
    """Scans to bind again, each with the conjuncts that its plan must show: one scan for each alternative."""
    proposal = shipment.proposal
    if len(proposal.alternatives) == 1:
        return [(shipment.sql, proposal.alternatives[0])]
    return [(_alone(binder, proposal, conjuncts, prefix), conjuncts) for conjuncts in proposal.alternatives]


def _alone(binder: Binder, proposal: Proposal, conjuncts: _Conjuncts, prefix: str) -> str:
    condition = _own(conjunction("AND", conjuncts), proposal.occurrence, prefix)
    return binder.print_checked(_scan_tree(proposal.occurrence, proposal.columns, condition))


def _shown_filters(
    binder: Binder, asked: Sequence[tuple[Occurrence, str]], prefix: str, now: str
) -> list[list[Expression] | None]:
    """The conjuncts that the plan of each scan shows; `None` or nothing where it has no such plan."""
    if not asked:
        return []
    return read_filters(binder, [_plan_filters(binder, occurrence, sql, prefix, now) for occurrence, sql in asked])


def _plan_filters(binder: Binder, occurrence: Occurrence, sql: str, prefix: str, now: str) -> tuple[str, ...]:
    question = Question(sql=sql, describe=False)
    request = BindRequest(tables=[bound_table(occurrence)], questions=[question], now=now, prefix=prefix)
    try:
        demand = read_demands(binder.bind(request)[0].plan, [occurrence.name], prefix)[occurrence.name]
    except StatementError:
        return ()
    return demand.scans[0].filters if len(demand.scans) == 1 else ()


def _scan_tree(occurrence: Occurrence, columns: Sequence[int], condition: Expression) -> Tree:
    dataset = occurrence.dataset
    path = [occurrence.name, dataset.lake, dataset.name]
    names = [dataset.columns[position].name for position in columns]
    node = {
        "type": "SELECT_NODE",
        "select_list": [{"class": "COLUMN_REF", "type": "COLUMN_REF", "column_names": [name]} for name in names],
        "cte_map": {"map": []},
        "from_table": {
            "type": "BASE_TABLE",
            "catalog_name": path[0],
            "schema_name": path[1],
            "table_name": path[2],
            "qualified_name": {"path": path},
        },
        "where_clause": condition,
        "aggregate_handling": "STANDARD_HANDLING",
    }
    return {"error": False, "statements": [{"node": node}]}
