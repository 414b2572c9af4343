"""The plan document: steps, inputs and transfers of pieces whose sites are chosen."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from datacanal.planning.estimates import scanned_bytes
from datacanal.planning.labelling import columns_of
from datacanal.planning.layout import Layout, Parcel
from datacanal.planning.names import Occurrence
from datacanal.planning.pieces import Piece
from datacanal.protocol.plan import (
    Alternative,
    DatasetInput,
    Estimate,
    PlanColumn,
    Step,
    StepInput,
    Transfer,
    TransferInput,
)

_RESULT_VALUE_BYTES = 8


@dataclass
class Assembly:
    """The steps and transfers of a plan while it grows; each step stands after those that it takes from.

    `stem` begins the ids of its steps.
    """

    stem: str = ""
    steps: list[Step] = field(default_factory=list)
    transfers: list[Transfer] = field(default_factory=list)

    def deliver(self, layout: Layout) -> list[StepInput]:
        """The inputs of the piece. What is sent to it gets its steps and transfers.

        Parcels that carry the same rows and columns share them.
        """
        senders: dict[object, str] = {}
        arriving: dict[str, StepInput] = {}
        for parcel in layout.parcels:
            identity = parcel.proposal.identity
            if identity not in senders:
                senders[identity] = self._send(parcel, layout)
            arriving[parcel.proposal.occurrence.name] = _arriving(parcel, senders[identity])
        return [arriving.get(each.name) or _at_hand(each) for each in layout.piece.occurrences]

    def estimate(self, layout: Layout) -> Estimate:
        """What the piece may give if nothing multiplies: the rows of the largest input, eight bytes a value."""
        piece, sent = layout.piece, [parcel.proposal.estimate for parcel in layout.parcels]
        local = [occurrence for occurrence in piece.occurrences if occurrence.dataset.site == layout.site]
        rows = max([*(each.dataset.rows for each in local), *(estimate.rows for estimate in sent)], default=1)
        if str(piece.binding.plan.get("name")) == "UNGROUPED_AGGREGATE":
            rows = 1
        weight = rows * _RESULT_VALUE_BYTES * len(piece.binding.columns)
        return Estimate(rows=rows, bytes=weight, scanned_bytes=_scanned(piece, local))

    @property
    def moved_bytes(self) -> int:
        """Estimated, of all transfers."""
        return sum(transfer.estimate.bytes for transfer in self.transfers)

    def _send(self, parcel: Parcel, layout: Layout) -> str:
        """The step that sends it, made unless it is there, and the transfer."""
        if parcel.sql:
            self.steps.append(self._step(parcel, layout.piece.id))
            sender = self.steps[-1].id
        else:
            sender = parcel.proposal.occurrence.dataset.name
        self.transfers.append(_transfer(parcel, sender, layout))
        return sender

    def _step(self, parcel: Parcel, consumer: str) -> Step:
        proposal, subtree = parcel.proposal, parcel.subtree
        occurrence = proposal.occurrence
        read = parcel.shipment.reads if subtree is None else list(subtree.piece.occurrences)
        step = f"{self.stem}scan_{occurrence.name}" if subtree is None else subtree.piece.id
        if any(other.id == step for other in self.steps):
            step = f"{self.stem}scan_{consumer.removeprefix(self.stem)}_{occurrence.name}"
        return Step(
            id=step,
            site=occurrence.dataset.site,
            kind="scan" if subtree is None else "subtree",
            sql=parcel.sql,
            params={} if subtree is None else dict(subtree.piece.params),
            inputs=[_at_hand(each) for each in read],
            columns=list(parcel.columns),
            estimate=proposal.estimate if subtree is None else _with_scan(proposal.estimate, subtree.piece),
        )


def _with_scan(estimate: Estimate, piece: Piece) -> Estimate:
    return estimate.model_copy(update={"scanned_bytes": _scanned(piece, piece.occurrences)})


def _scanned(piece: Piece, local: Iterable[Occurrence]) -> int:
    datasets = [(each.dataset, piece.demands[each.name]) for each in local if not each.dataset.is_output]
    return sum(scanned_bytes(dataset, demand.columns(len(dataset.columns))) for dataset, demand in datasets)


def _at_hand(occurrence: Occurrence) -> StepInput:
    """A dataset of the step's site, or what another step gives there."""
    dataset, columns = occurrence.dataset, columns_of(occurrence.dataset)
    if dataset.is_output:
        return TransferInput(
            occurrence=occurrence.name,
            lake=dataset.lake,
            dataset=dataset.name,
            from_step=dataset.name,
            shipped=columns,
            columns=columns,
        )
    return DatasetInput(
        occurrence=occurrence.name,
        lake=dataset.lake,
        dataset=dataset.name,
        snapshot=dataset.snapshot,
        columns=columns,
    )


def _arriving(parcel: Parcel, sender: str) -> TransferInput:
    """What did not travel is NULL, and nothing depends on it."""
    occurrence = parcel.proposal.occurrence
    dataset = occurrence.dataset
    is_counted = not parcel.proposal.columns
    shipped = {} if is_counted else {column.name: column for column in parcel.columns}
    columns = [shipped.get(each.name) or PlanColumn(name=each.name, type=each.type) for each in dataset.columns]
    return TransferInput(
        occurrence=occurrence.name,
        lake=dataset.lake,
        dataset=dataset.name,
        from_step=sender,
        shipped=list(shipped.values()),
        columns=columns,
        counted=is_counted,
    )


def _transfer(parcel: Parcel, sender: str, layout: Layout) -> Transfer:
    proposal = parcel.proposal
    return Transfer(
        from_step=sender,
        to_step=layout.piece.id,
        from_site=proposal.occurrence.dataset.site,
        to_site=layout.site,
        kind="relation" if proposal.columns else "count",
        dataset=proposal.occurrence.dataset.qualified_name,
        estimate=proposal.estimate,
        reason=_reason(parcel),
        alternatives=_rejected(parcel),
    )


def _reason(parcel: Parcel) -> str:
    proposal = parcel.proposal
    if not parcel.sql:
        return "the groups that the gate lets out"
    if not proposal.columns:
        return "only the number of rows matters"
    columns = f"{len(proposal.columns)} of {len(proposal.occurrence.dataset.columns)} columns"
    condition = parcel.shipment.condition
    rows = f"rows where {condition}" if condition else "all rows"
    partners = [partner.rows.occurrence.dataset.qualified_name for partner in proposal.partners]
    return f"{columns}, {rows}{f' with a partner in {_listed(partners)}' if partners else ''}"


def _listed(names: Sequence[str]) -> str:
    return " and ".join(dict.fromkeys(names))


def _rejected(parcel: Parcel) -> list[Alternative]:
    proposal = parcel.proposal
    found = []
    if parcel.subtree is not None:
        return []
    if proposal.whole.bytes > proposal.estimate.bytes:
        reason = "not all of it is needed"
        found.append(Alternative(choice="the whole dataset", bytes=proposal.whole.bytes, reason=reason))
    if proposal.condition:
        reason = "the filter can go down"
        found.append(Alternative(choice="these columns, all rows", bytes=proposal.unfiltered.bytes, reason=reason))
    if proposal.partners:
        reason = "rows without a partner at their own site are in no answer"
        found.append(Alternative(choice="these columns, unjoined", bytes=proposal.unjoined.bytes, reason=reason))
    return found
