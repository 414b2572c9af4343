"""What each occurrence would put on the wire if it had to move: columns, a proved condition, and the scan's SQL."""

from __future__ import annotations

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


@dataclass(frozen=True)
class Shipment:
    """An occurrence as it would travel; without columns only its count does.

    `unfiltered` and `whole` say what leaving the filter, or also unneeded columns, would cost.
    """

    occurrence: Occurrence
    columns: tuple[int, ...]
    condition: str
    condition_key: str
    sql: str
    estimate: Estimate
    unfiltered: Estimate
    whole: Estimate

    @property
    def identity(self) -> tuple[str, tuple[int, ...], str]:
        """Equal for shipments that carry the same rows and columns."""
        return (self.occurrence.dataset.qualified_name, self.columns, self.condition_key)


@dataclass(frozen=True)
class _Candidate:
    """A condition not yet proved: alternatives of conjuncts, in base names, one for each scan of the occurrence."""

    occurrence: Occurrence
    alternatives: tuple[tuple[Expression, ...], ...]


def plan_shipments(
    binder: Binder, occurrences: Sequence[Occurrence], demands: Mapping[str, Demand], prefix: str, now: str
) -> list[Shipment]:
    """One shipment for each occurrence, in their order."""
    candidates = _candidates(binder, occurrences, demands, prefix)
    proved = _proved(binder, candidates, prefix, now)
    shipments = []
    for occurrence in occurrences:
        columns = demands[occurrence.name].columns(len(occurrence.dataset.columns))
        shipments.append(_shipment(binder, occurrence, columns, proved.get(occurrence.name), prefix))
    return shipments


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


def _candidates(
    binder: Binder, occurrences: Sequence[Occurrence], demands: Mapping[str, Demand], prefix: str
) -> list[_Candidate]:
    filtered = [
        occurrence
        for occurrence in occurrences
        if demands[occurrence.name].scans and all(scan.filters for scan in demands[occurrence.name].scans)
    ]
    groups = [scan.filters for occurrence in filtered for scan in demands[occurrence.name].scans]
    read = iter(read_filters(binder, groups))
    found = []
    for occurrence in filtered:
        columns, own = _named_types(occurrence), column_prefix(prefix, occurrence.name)
        alternatives: dict[str, tuple[Expression, ...]] = {}
        for _ in demands[occurrence.name].scans:
            pushable = tuple(e for e in next(read) or () if is_pushable(e, columns, own))
            alternatives["&".join(sorted(map(key, pushable)))] = pushable
        if "" not in alternatives:
            found.append(_Candidate(occurrence, tuple(alternatives.values())))
    return found


def _proved(
    binder: Binder, candidates: Sequence[_Candidate], prefix: str, now: str
) -> dict[str, tuple[tuple[Expression, ...], ...]]:
    """The alternatives of those candidates for which each alternative, bound again, shows exactly itself."""
    asked = [(candidate, alternative) for candidate in candidates for alternative in candidate.alternatives]
    shown = _filters_again(binder, asked, prefix, now)
    refuted = {
        candidate.occurrence.name
        for (candidate, alternative), filters in zip(asked, shown, strict=True)
        if filters is None or set(map(key, filters)) != set(map(key, alternative))
    }
    return {c.occurrence.name: c.alternatives for c in candidates if c.occurrence.name not in refuted}


def _filters_again(
    binder: Binder, asked: Sequence[tuple[_Candidate, tuple[Expression, ...]]], prefix: str, now: str
) -> list[list[Expression] | None]:
    """The conjuncts that the plan of each alternative's own scan shows; `None` where it has no such plan."""
    if not asked:
        return []
    texts: list[tuple[str, ...]] = []
    for candidate, alternative in asked:
        texts.append(_plan_filters(binder, candidate.occurrence, alternative, prefix, now))
    return read_filters(binder, texts)


def _plan_filters(
    binder: Binder, occurrence: Occurrence, conjuncts: Sequence[Expression], prefix: str, now: str
) -> tuple[str, ...]:
    """Filter texts of the plan of a scan with these conjuncts alone; none where it does not bind to one scan."""
    condition = _own(conjunction("AND", conjuncts), occurrence, prefix)
    try:
        sql = binder.print_checked(_scan_tree(occurrence, range(len(occurrence.dataset.columns)), condition))
        request = BindRequest(
            tables=[bound_table(occurrence)], questions=[Question(sql=sql, describe=False)], now=now, prefix=prefix
        )
        scans = read_demands(binder.bind(request)[0].plan, [occurrence.name], prefix)[occurrence.name].scans
    except StatementError:
        return ()
    return scans[0].filters if len(scans) == 1 else ()


def _shipment(
    binder: Binder,
    occurrence: Occurrence,
    columns: Sequence[int],
    alternatives: tuple[tuple[Expression, ...], ...] | None,
    prefix: str,
) -> Shipment:
    dataset = occurrence.dataset
    condition = text = None
    if alternatives:
        either = conjunction("OR", [conjunction("AND", conjuncts) for conjuncts in alternatives])
        condition = _own(either, occurrence, prefix)
        text = _checked_scan(binder, occurrence, columns, condition)
    return Shipment(
        occurrence=occurrence,
        columns=tuple(columns),
        condition=text.partition(" WHERE ")[2] if text else "",
        condition_key=key(condition) if condition and text else "",
        sql=text or _plain_scan(occurrence, columns),
        estimate=scan_estimate(dataset, columns, condition if text else None),
        unfiltered=scan_estimate(dataset, columns, None),
        whole=scan_estimate(dataset, range(len(dataset.columns)), None),
    )


def _own(expression: Expression, occurrence: Occurrence, prefix: str) -> Expression:
    renamed = with_own_names(expression, _named_types(occurrence), column_prefix(prefix, occurrence.name))
    return dict(renamed)


def _checked_scan(binder: Binder, occurrence: Occurrence, columns: Sequence[int], condition: Expression) -> str | None:
    try:
        text = binder.print_checked(_scan_tree(occurrence, columns, condition))
        check_text(text)
    except StatementError:
        return None
    return text


def _plain_scan(occurrence: Occurrence, columns: Sequence[int]) -> str:
    dataset = occurrence.dataset
    wanted = ", ".join(identifier(dataset.columns[position].name) for position in columns) or "count(*) AS rows"
    return f"SELECT {wanted} FROM {occurrence.name}.{identifier(dataset.lake)}.{identifier(dataset.name)}"  # noqa: S608  # quoted


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
