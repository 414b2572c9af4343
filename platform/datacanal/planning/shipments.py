"""What each occurrence would put on the wire if it had to move, and the scans of those that do.

Proposals are cheap: columns, a condition and partners from the statement's plan, with estimates. Only what really moves
is settled: its conditions are proved and its SQL written.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from datacanal.domain.errors import StatementError
from datacanal.planning.binding import Binder, BindRequest, BoundTable, NamedType, Question, Tree, column_prefix
from datacanal.planning.estimates import scan_estimate
from datacanal.planning.filters import Expression, conjunction, is_pushable, key, read_filters, with_own_names
from datacanal.planning.join_groups import JoinGroup
from datacanal.planning.names import Occurrence
from datacanal.planning.partners import Filtered, Matchmaker, Partner, scan_node
from datacanal.planning.quoting import identifier
from datacanal.planning.scans import Demand, read_demands
from datacanal.planning.text import check_text
from datacanal.protocol.plan import Estimate

_Conjuncts = tuple[Expression, ...]


@dataclass(frozen=True)
class Proposal:
    """An occurrence as it would travel; without columns only its count does.

    `alternatives` and `condition` are those of `Filtered`. Of those rows only the ones that have all `partners` travel.
    `unjoined`, `unfiltered` and `whole` say what leaving the partners, also the filter, and also unneeded columns,
    would cost.
    """

    occurrence: Occurrence
    columns: tuple[int, ...]
    alternatives: tuple[_Conjuncts, ...]
    condition: Expression | None
    partners: tuple[Partner, ...]
    estimate: Estimate
    unjoined: Estimate
    unfiltered: Estimate
    whole: Estimate

    @property
    def identity(self) -> tuple[str, tuple[int, ...], str, str]:
        """Equal for proposals that carry the same rows and columns."""
        condition = key(self.condition) if self.condition else ""
        partners = ",".join(sorted(partner.identity for partner in self.partners))
        return (self.occurrence.dataset.qualified_name, self.columns, condition, partners)

    @property
    def rows(self) -> Filtered:
        """What is known of the rows by themselves."""
        return Filtered(self.occurrence, self.alternatives, self.condition)

    @property
    def read(self) -> list[Filtered]:
        """The occurrences that its scan reads, its own first."""
        return [self.rows, *(rows for partner in self.partners for rows in partner.all_rows())]

    def without_filters(self, refuted: frozenset[str]) -> Proposal:
        """The same with all rows of the occurrences named."""
        partners = tuple(partner.without_filters(refuted) for partner in self.partners)
        if self.occurrence.name not in refuted:
            return dataclasses.replace(self, partners=partners)
        return dataclasses.replace(
            self, alternatives=(), condition=None, partners=partners, estimate=self.unfiltered, unjoined=self.unfiltered
        )

    def alone(self) -> Proposal:
        """The same with the rows that have no partner, too."""
        return dataclasses.replace(self, partners=(), estimate=self.unjoined)


@dataclass(frozen=True)
class Shipment:
    """A proposal settled: the scan's SQL, and its condition as text, empty where all rows travel."""

    proposal: Proposal
    sql: str
    condition: str

    @property
    def reads(self) -> list[Occurrence]:
        """The occurrences that the scan reads, its own first."""
        return [rows.occurrence for rows in self.proposal.read]


def propose(
    binder: Binder,
    occurrences: Sequence[Occurrence],
    demands: Mapping[str, Demand],
    prefix: str,
    groups: Sequence[JoinGroup] = (),
) -> list[Proposal]:
    """One proposal for each occurrence, in their order; `groups` may join some of them before they travel."""
    alternatives = _alternatives(binder, occurrences, demands, prefix)
    filtered = [_filtered(occurrence, alternatives.get(occurrence.name, ()), prefix) for occurrence in occurrences]
    matchmaker = Matchmaker(filtered, groups)
    return [_proposal(rows, demands[rows.occurrence.name], matchmaker) for rows in filtered]


def settle(binder: Binder, proposals: Sequence[Proposal], prefix: str, now: str) -> list[Shipment]:
    """Prove and write the scans.

    A condition that cannot be proved is left out: all rows travel then. So are partners, where their join cannot be
    written.
    """
    refuted = _refuted(binder, [rows for proposal in proposals for rows in proposal.read], prefix, now)
    settled = [proposal.without_filters(refuted) for proposal in proposals]
    return [_joined(binder, each, prefix, now) or _written(binder, each.alone()) for each in settled]


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


def _filtered(occurrence: Occurrence, alternatives: tuple[_Conjuncts, ...], prefix: str) -> Filtered:
    if not alternatives:
        return Filtered(occurrence)
    either = conjunction("OR", [conjunction("AND", conjuncts) for conjuncts in alternatives])
    return Filtered(occurrence, alternatives, _own(either, occurrence, prefix))


def _proposal(rows: Filtered, demand: Demand, matchmaker: Matchmaker) -> Proposal:
    dataset = rows.occurrence.dataset
    columns = tuple(demand.columns(len(dataset.columns)))
    partners, matched = matchmaker.partners_of(rows.occurrence) if columns else ((), 1.0)
    estimate = scan_estimate(dataset, columns, rows.condition, matched)
    scanned = estimate.scanned_bytes + sum(partner.scanned_bytes for partner in partners)
    return Proposal(
        occurrence=rows.occurrence,
        columns=columns,
        alternatives=rows.alternatives,
        condition=rows.condition,
        partners=partners,
        estimate=estimate.model_copy(update={"scanned_bytes": scanned}),
        unjoined=scan_estimate(dataset, columns, rows.condition),
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
        sql = _scan_text(binder, proposal.occurrence, proposal.columns, proposal.condition)
    except StatementError:
        return _plain(proposal.without_filters(frozenset({proposal.occurrence.name})))
    return Shipment(proposal, sql, sql.partition(" WHERE ")[2])


def _plain(proposal: Proposal) -> Shipment:
    dataset = proposal.occurrence.dataset
    wanted = ", ".join(identifier(dataset.columns[position].name) for position in proposal.columns)
    table = f"{proposal.occurrence.name}.{identifier(dataset.lake)}.{identifier(dataset.name)}"
    return Shipment(proposal, f"SELECT {wanted or 'count(*) AS rows'} FROM {table}", "")  # noqa: S608  # quoted


def _joined(binder: Binder, proposal: Proposal, prefix: str, now: str) -> Shipment | None:
    """The scan that joins, if it binds and gives the columns that were asked for."""
    if not proposal.partners:
        return None
    tree = {"error": False, "statements": [{"node": scan_node(proposal.rows, proposal.columns, proposal.partners)}]}
    tables = [bound_table(rows.occurrence) for rows in proposal.read]
    try:
        sql = binder.print_checked(tree)
        check_text(sql)
        found = binder.bind(BindRequest(tables=tables, questions=[Question(sql=sql)], now=now, prefix=prefix))[0]
        condition = _written(binder, proposal.alone()).condition
    except StatementError:
        return None
    named = _named_types(proposal.occurrence)
    wanted = [named[position] for position in proposal.columns]
    return Shipment(proposal, sql, condition) if found.columns == wanted else None


def _refuted(binder: Binder, scanned: Sequence[Filtered], prefix: str, now: str) -> frozenset[str]:
    """The occurrences whose condition does not read back as the filter that it was made from."""
    once = {rows.occurrence.name: rows for rows in scanned if rows.condition is not None}
    refuted = set()
    asked: list[tuple[Occurrence, _Conjuncts, str]] = []
    for name, rows in once.items():
        try:
            asked += [(rows.occurrence, *each) for each in _to_prove(binder, rows, prefix)]
        except StatementError:
            refuted.add(name)
    shown = _shown_filters(binder, [(occurrence, sql) for occurrence, _, sql in asked], prefix, now)
    for (occurrence, conjuncts, _), filters in zip(asked, shown, strict=True):
        if filters is None or set(map(key, filters)) != set(map(key, conjuncts)):
            refuted.add(occurrence.name)
    return frozenset(refuted)


def _to_prove(binder: Binder, rows: Filtered, prefix: str) -> list[tuple[_Conjuncts, str]]:
    """Scans to bind again, each with the conjuncts that its plan must show: one scan for each alternative."""
    conditions = [_own(conjunction("AND", each), rows.occurrence, prefix) for each in rows.alternatives]
    texts = [_scan_text(binder, rows.occurrence, (0,), condition) for condition in conditions]
    return list(zip(rows.alternatives, texts, strict=True))


def _scan_text(binder: Binder, occurrence: Occurrence, columns: Sequence[int], condition: Expression) -> str:
    sql = binder.print_checked(_scan_tree(occurrence, columns, condition))
    check_text(sql)
    return sql


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
