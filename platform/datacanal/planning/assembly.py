"""The plan document: steps, inputs and transfers of a statement whose meeting site is chosen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from pydantic import JsonValue

from datacanal.planning.binding import Binding
from datacanal.planning.estimates import scanned_bytes
from datacanal.planning.functions import functions_digest
from datacanal.planning.names import Occurrence
from datacanal.planning.scans import Demand, read_demands
from datacanal.planning.shipments import Proposal, Shipment
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
_RESULT_VALUE_BYTES = 8


@dataclass(frozen=True)
class Statement:
    """A checked and bound statement: the text that will run, its tables, its result and DuckDB's plan of it."""

    sql: str
    params: Mapping[str, JsonValue]
    occurrences: Sequence[Occurrence]
    binding: Binding
    prefix: str
    now: str

    @cached_property
    def sites(self) -> list[str]:
        """The sites of its datasets."""
        return sorted({occurrence.dataset.site for occurrence in self.occurrences})

    @cached_property
    def demands(self) -> dict[str, Demand]:
        """What each occurrence must deliver."""
        return read_demands(self.binding.plan, [occurrence.name for occurrence in self.occurrences], self.prefix)


def assemble(statement: Statement, meeting: Meeting, moving: Sequence[Shipment], kernel: str) -> Plan:
    """The plan. Shipments that carry the same rows and columns share a scan and a transfer."""
    scans: dict[tuple[object, ...], Shipment] = {}
    for shipment in moving:
        scans.setdefault(shipment.proposal.identity, shipment)
    steps = {identity: _scan_step(shipment) for identity, shipment in scans.items()}
    transfers = [_transfer(shipment, steps[identity], meeting.site) for identity, shipment in scans.items()]
    arriving = {
        each.proposal.occurrence.name: _transfer_input(each.proposal, steps[each.proposal.identity].id)
        for each in moving
    }
    query = _query_step(statement, meeting.site, arriving, [transfer.estimate for transfer in transfers])
    return Plan(
        kernel=kernel,
        functions=functions_digest(),
        statement=statement.sql,
        now=statement.now,
        steps=[*steps.values(), query],
        transfers=transfers,
        result_step=query.id,
        columns=query.columns,
        meeting=meeting.model_copy(update={"bytes": sum(transfer.estimate.bytes for transfer in transfers)}),
    )


def _query_step(
    statement: Statement, site: str, arriving: Mapping[str, TransferInput], sent: Sequence[Estimate]
) -> Step:
    inputs: list[StepInput] = [arriving.get(each.name) or _dataset_input(each) for each in statement.occurrences]
    return Step(
        id=_RESULT_STEP,
        site=site,
        kind="query",
        sql=statement.sql,
        params=dict(statement.params),
        inputs=inputs,
        columns=[PlanColumn(name=column.name, type=column.type) for column in statement.binding.columns],
        estimate=_query_estimate(statement, site, sent),
    )


def _query_estimate(statement: Statement, site: str, sent: Iterable[Estimate]) -> Estimate:
    """What the result may weigh if nothing multiplies: the rows of the largest input, eight bytes a value."""
    local = [occurrence for occurrence in statement.occurrences if occurrence.dataset.site == site]
    rows = max([*(each.dataset.rows for each in local), *(estimate.rows for estimate in sent)], default=1)
    if str(statement.binding.plan.get("name")) == "UNGROUPED_AGGREGATE":
        rows = 1
    needed = [(each.dataset, statement.demands[each.name].columns(len(each.dataset.columns))) for each in local]
    return Estimate(
        rows=rows,
        bytes=rows * _RESULT_VALUE_BYTES * len(statement.binding.columns),
        scanned_bytes=sum(scanned_bytes(dataset, columns) for dataset, columns in needed),
    )


def _columns(occurrence: Occurrence, positions: Sequence[int] | None = None) -> list[PlanColumn]:
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
        columns=_columns(occurrence),
    )


def _transfer_input(proposal: Proposal, step: str) -> TransferInput:
    dataset = proposal.occurrence.dataset
    return TransferInput(
        occurrence=proposal.occurrence.name,
        lake=dataset.lake,
        dataset=dataset.name,
        from_step=step,
        shipped=_columns(proposal.occurrence, proposal.columns),
        columns=_columns(proposal.occurrence),
        counted=not proposal.columns,
    )


def _scan_step(shipment: Shipment) -> Step:
    proposal = shipment.proposal
    return Step(
        id=f"scan_{proposal.occurrence.name}",
        site=proposal.occurrence.dataset.site,
        kind="scan",
        sql=shipment.sql,
        inputs=[_dataset_input(proposal.occurrence)],
        columns=_columns(proposal.occurrence, proposal.columns) or [PlanColumn(name="rows", type="BIGINT")],
        estimate=proposal.estimate,
    )


def _transfer(shipment: Shipment, step: Step, to_site: str) -> Transfer:
    proposal = shipment.proposal
    return Transfer(
        from_step=step.id,
        to_step=_RESULT_STEP,
        from_site=step.site,
        to_site=to_site,
        kind="relation" if proposal.columns else "count",
        dataset=proposal.occurrence.dataset.qualified_name,
        estimate=proposal.estimate,
        reason=_reason(shipment),
        alternatives=_rejected(proposal),
    )


def _reason(shipment: Shipment) -> str:
    proposal = shipment.proposal
    if not proposal.columns:
        return "only the number of rows matters"
    columns = f"{len(proposal.columns)} of {len(proposal.occurrence.dataset.columns)} columns"
    return f"{columns}, rows where {shipment.condition}" if shipment.condition else f"{columns}, all rows"


def _rejected(proposal: Proposal) -> list[Alternative]:
    found = []
    if proposal.whole.bytes > proposal.estimate.bytes:
        reason = "not all of it is needed"
        found.append(Alternative(choice="the whole dataset", bytes=proposal.whole.bytes, reason=reason))
    if proposal.condition:
        reason = "the filter can go down"
        found.append(Alternative(choice="these columns, all rows", bytes=proposal.unfiltered.bytes, reason=reason))
    return found
