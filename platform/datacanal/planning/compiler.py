"""A user's statement in, a plan out."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic import JsonValue

from datacanal.domain.errors import SiteUnreachable, SqlTooDeep
from datacanal.planning.binding import Binder, Binding, BindRequest, NamedType, Question
from datacanal.planning.catalogue import Catalogue
from datacanal.planning.estimates import scanned_bytes
from datacanal.planning.functions import functions_digest
from datacanal.planning.gate import check_text, check_tree
from datacanal.planning.names import Occurrence, resolve
from datacanal.planning.parameters import check_parameters
from datacanal.planning.placement import anywhere_meeting, choose_meeting, local_meeting
from datacanal.planning.scans import Demand, read_demands
from datacanal.planning.shipments import Shipment, bound_table, plan_shipments
from datacanal.planning.text import MAX_DEPTH
from datacanal.planning.titles import keep_titles, retitle
from datacanal.protocol.plan import (
    Alternative,
    DatasetInput,
    Estimate,
    Meeting,
    Plan,
    PlanColumn,
    Step,
    StepInput,
    Transfer,
    TransferInput,
)

_RESULT_STEP = "query"


@dataclass(frozen=True)
class _Statement:
    """A checked and bound statement."""

    sql: str
    params: Mapping[str, JsonValue]
    occurrences: Sequence[Occurrence]
    binding: Binding
    prefix: str

    @property
    def sites(self) -> list[str]:
        return sorted({occurrence.dataset.site for occurrence in self.occurrences})

    def demands(self) -> dict[str, Demand]:
        return read_demands(self.binding.plan, [occurrence.name for occurrence in self.occurrences], self.prefix)


def compile_statement(
    sql: str, params: Mapping[str, JsonValue], catalogue: Catalogue, binder: Binder, now: str
) -> Plan:
    """The plan of a statement over the catalogue, at one instant (`now`, ISO 8601 with a zone).

    Raises a `UserError` (most are `StatementError`s) that names what to change, `DatasetUnreadable` for a dataset
    whose files cannot be read, `SiteUnreachable` where the statement needs some site and none is connected.
    """
    try:
        return _compiled(_bound(sql, params, catalogue, binder, now), catalogue, binder, now)
    except RecursionError:
        raise SqlTooDeep(limit=MAX_DEPTH) from None


def _compiled(statement: _Statement, catalogue: Catalogue, binder: Binder, now: str) -> Plan:
    sites = statement.sites
    if len(sites) > 1:
        shipments = plan_shipments(binder, statement.occurrences, statement.demands(), statement.prefix, now)
        meeting = choose_meeting(shipments)
        moving = [shipment for shipment in shipments if shipment.occurrence.dataset.site != meeting.site]
    else:
        meeting, moving = (local_meeting(sites[0]) if sites else _anywhere(catalogue)), []
    return _plan(statement, meeting, moving, binder.kernel, now)


def _bound(sql: str, params: Mapping[str, JsonValue], catalogue: Catalogue, binder: Binder, now: str) -> _Statement:
    check_text(sql)
    tree = binder.parse(sql)
    check_tree(tree, sql)
    check_parameters(tree, params)
    keep_titles(tree, binder)
    occurrences = resolve(tree, catalogue)
    prefix = f"c{hashlib.sha256(f'{now} {sql}'.encode()).hexdigest()[:12]}"
    tables = [bound_table(occurrence) for occurrence in occurrences]

    def bind(text: str) -> Binding:
        question = Question(sql=text, params=dict(params))
        return binder.bind(BindRequest(tables=tables, questions=[question], now=now, prefix=prefix))[0]

    checked = binder.print_checked(tree)
    binding = bind(checked)
    if retitle(tree, [column.name for column in binding.columns]):
        checked = binder.print_checked(tree)
        binding = bind(checked)
    return _Statement(checked, params, occurrences, binding, prefix)


def _anywhere(catalogue: Catalogue) -> Meeting:
    sites = sorted(catalogue.connected)
    if not sites:
        raise SiteUnreachable(site="(any)", reason="no site is connected")
    return anywhere_meeting(sites[0], sites[1:])


def _plan(statement: _Statement, meeting: Meeting, moving: Sequence[Shipment], kernel: str, now: str) -> Plan:
    scans: dict[tuple[object, ...], Shipment] = {}
    for shipment in moving:
        scans.setdefault(shipment.identity, shipment)
    steps = {identity: _scan_step(shipment) for identity, shipment in scans.items()}
    arriving = {shipment.occurrence.name: (shipment, steps[shipment.identity].id) for shipment in moving}
    inputs: list[StepInput] = [
        _transfer_input(*arriving[occurrence.name]) if occurrence.name in arriving else _dataset_input(occurrence)
        for occurrence in statement.occurrences
    ]
    columns = _plan_columns(statement.binding.columns)
    query = Step(
        id=_RESULT_STEP,
        site=meeting.site,
        kind="query",
        sql=statement.sql,
        params=dict(statement.params),
        inputs=inputs,
        columns=columns,
        estimate=_query_estimate(statement, meeting, [shipment.estimate for shipment in scans.values()]),
    )
    return Plan(
        kernel=kernel,
        functions=functions_digest(),
        statement=statement.sql,
        now=now,
        steps=[*steps.values(), query],
        transfers=[_transfer(shipment, steps[identity], meeting) for identity, shipment in scans.items()],
        result_step=_RESULT_STEP,
        columns=columns,
        meeting=meeting,
    )


def _plan_columns(columns: Sequence[NamedType]) -> list[PlanColumn]:
    return [PlanColumn(name=column.name, type=column.type) for column in columns]


def _dataset_columns(occurrence: Occurrence, positions: Sequence[int] | None = None) -> list[PlanColumn]:
    columns = occurrence.dataset.columns
    chosen = columns if positions is None else [columns[position] for position in positions]
    return [PlanColumn(name=column.name, type=column.type) for column in chosen]


def _dataset_input(occurrence: Occurrence) -> DatasetInput:
    dataset = occurrence.dataset
    return DatasetInput(
        occurrence=occurrence.name,
        lake=dataset.lake,
        dataset=dataset.name,
        snapshot=dataset.snapshot,
        columns=_dataset_columns(occurrence),
    )


def _transfer_input(shipment: Shipment, step: str) -> TransferInput:
    dataset = shipment.occurrence.dataset
    return TransferInput(
        occurrence=shipment.occurrence.name,
        lake=dataset.lake,
        dataset=dataset.name,
        from_step=step,
        shipped=_dataset_columns(shipment.occurrence, shipment.columns),
        columns=_dataset_columns(shipment.occurrence),
        counted=not shipment.columns,
    )


def _scan_step(shipment: Shipment) -> Step:
    occurrence = shipment.occurrence
    shipped = _dataset_columns(occurrence, shipment.columns)
    return Step(
        id=f"scan_{occurrence.name}",
        site=occurrence.dataset.site,
        kind="scan",
        sql=shipment.sql,
        inputs=[_dataset_input(occurrence)],
        columns=shipped or [PlanColumn(name="rows", type="BIGINT")],
        estimate=shipment.estimate,
    )


def _transfer(shipment: Shipment, step: Step, meeting: Meeting) -> Transfer:
    dataset = shipment.occurrence.dataset
    return Transfer(
        from_step=step.id,
        to_step=_RESULT_STEP,
        from_site=step.site,
        to_site=meeting.site,
        kind="relation" if shipment.columns else "count",
        dataset=dataset.qualified_name,
        estimate=shipment.estimate,
        reason=_transfer_reason(shipment),
        alternatives=_transfer_alternatives(shipment),
    )


def _transfer_reason(shipment: Shipment) -> str:
    if not shipment.columns:
        return "only the number of rows matters"
    columns = f"{len(shipment.columns)} of {len(shipment.occurrence.dataset.columns)} columns"
    return f"{columns}, rows where {shipment.condition}" if shipment.condition else f"{columns}, all rows"


def _transfer_alternatives(shipment: Shipment) -> list[Alternative]:
    found = [Alternative(choice="the whole dataset", bytes=shipment.whole.bytes, reason="not all of it is needed")]
    if shipment.condition:
        reason = "the filter can go down"
        found.append(Alternative(choice="these columns, all rows", bytes=shipment.unfiltered.bytes, reason=reason))
    return found


def _query_estimate(statement: _Statement, meeting: Meeting, arriving: Sequence[Estimate]) -> Estimate:
    """What the result could weigh at most if nothing multiplies: the rows of the largest input, eight bytes a value."""
    demands = statement.demands()
    local = [occurrence for occurrence in statement.occurrences if occurrence.dataset.site == meeting.site]
    rows = max([occurrence.dataset.rows for occurrence in local] + [estimate.rows for estimate in arriving], default=1)
    if str(statement.binding.plan.get("name")) == "UNGROUPED_AGGREGATE":
        rows = 1
    read = sum(scanned_bytes(o.dataset, demands[o.name].columns(len(o.dataset.columns))) for o in local)
    return Estimate(rows=rows, bytes=rows * 8 * len(statement.binding.columns), scanned_bytes=read)
