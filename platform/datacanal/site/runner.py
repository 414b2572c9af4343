"""Run one leased step from the check to the offer. Everything it does may be done twice."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from datacanal.domain.errors import DatacanalError
from datacanal.protocol.plan import DatasetInput, PlanColumn
from datacanal.protocol.problem import error_of, problem_of
from datacanal.protocol.site import Done, Failed, Lease, Offer, Received
from datacanal.site.checks import CheckedStep, Site, check_lease
from datacanal.site.engine.specification import Task, TaskDone, TaskFailed
from datacanal.site.fetcher import Arrival, Fetcher
from datacanal.site.fleet.port import Pool
from datacanal.site.gate import EgressGate
from datacanal.site.keys import SiteKeys
from datacanal.site.lakes.registry import LakeRegistry
from datacanal.site.places import Places
from datacanal.site.store.egress import Release, Source
from datacanal.site.store.models import OutputRow
from datacanal.site.store.work import WorkStore
from datacanal.site.tasks import step_task
from datacanal.site.tickets import Ticket, mint


@dataclass
class Running:
    """How far an attempt is, for heartbeats and for its log. `said` never leaves the site."""

    waits: str | None = None
    fraction: float = 0.0
    said: str = ""
    in_pool: bool = False
    arrivals: dict[str, Arrival] = field(default_factory=dict)


@dataclass(frozen=True)
class StepRunner:
    """The parts of the agent that a step needs. `transfer_expiry_s` is how long an output waits to be fetched."""

    site: Site
    keys: SiteKeys
    exchange_url: str
    places: Places
    lakes: LakeRegistry
    work: WorkStore
    gate: EgressGate
    fetcher: Fetcher
    pool: Pool
    clock: Callable[[], datetime]
    new_id: Callable[[str], str]
    transfer_expiry_s: float

    async def run(self, lease: Lease, running: Running) -> Done | Failed:
        """The outcome of the attempt; only cancellation raises."""
        started_s = time.monotonic()
        try:
            checked = await asyncio.to_thread(check_lease, lease, self.site, self.lakes.snapshot)
            output = await asyncio.to_thread(self._kept, lease)
            if output is None:
                output = await self._made(lease, checked, running)
        except DatacanalError as error:
            return Failed(
                problem=problem_of(error), elapsed_ms=_since_ms(started_s), received=_received(lease, running)
            )
        running.fraction = 1.0
        return self._done(lease, output, _since_ms(started_s), _received(lease, running))

    def _kept(self, lease: Lease) -> OutputRow | None:
        """What an earlier attempt made and the gate let out already."""
        output = self.work.output_of(lease.job, lease.step, lease.plan_digest)
        return output if output is not None and Path(output.path).is_file() else None

    async def _made(self, lease: Lease, checked: CheckedStep, running: Running) -> OutputRow:
        output_id = self.new_id("out")
        file = self.places.outputs / f"{output_id}.arrow"
        inputs = {step: self.places.inputs / f"{output_id}.{number}" for number, step in enumerate(checked.offers)}
        try:
            await self._fetch_all(checked, inputs, running)
            room_bytes = await asyncio.to_thread(self.places.room_bytes)
            task = step_task(lease, checked, self.lakes.roots, inputs, file, room_bytes)
            outcome = await self._pooled(task, running)
            if not isinstance(outcome, TaskDone):
                raise error_of(outcome.problem)
            return await asyncio.to_thread(self._released, lease, checked, output_id, file, outcome)
        except BaseException:
            file.unlink(missing_ok=True)
            raise
        finally:
            for received in inputs.values():
                received.unlink(missing_ok=True)

    async def _fetch_all(self, checked: CheckedStep, inputs: dict[str, Path], running: Running) -> None:
        if not inputs:
            return
        running.waits = "inputs arrive from other sites"
        running.arrivals = {step: Arrival() for step in inputs}
        fetches = [
            asyncio.create_task(self.fetcher.fetch(checked.offers[step], file, running.arrivals[step]))
            for step, file in inputs.items()
        ]
        try:
            await asyncio.gather(*fetches)
        finally:
            for fetch in fetches:
                fetch.cancel()
            await asyncio.gather(*fetches, return_exceptions=True)
        running.waits = None

    async def _pooled(self, task: Task, running: Running) -> TaskDone | TaskFailed:
        running.in_pool = True
        try:
            outcome = await self.pool.run(task)
        finally:
            running.in_pool = False
        running.said = outcome.said
        return outcome

    def _released(self, lease: Lease, checked: CheckedStep, output_id: str, file: Path, outcome: TaskDone) -> OutputRow:
        now = self.clock()
        expiry_s = lease.result_expiry_s if lease.is_result else self.transfer_expiry_s
        output = OutputRow(
            id=output_id,
            job=lease.job,
            step=lease.step,
            plan_digest=lease.plan_digest,
            path=str(file),
            rows=outcome.rows,
            bytes=outcome.bytes,
            digest=outcome.digest,
            scanned_bytes=outcome.scanned_bytes,
            is_result=lease.is_result,
            columns=json.dumps([column.model_dump() for column in checked.step.columns]),
            expires_ms=int((now + timedelta(seconds=expiry_s)).timestamp() * 1000),
            tenant=lease.tenant,
            principal=lease.principal,
        )
        self.gate.pass_out(_release(lease, checked, outcome), output, now)
        return output

    def _done(self, lease: Lease, output: OutputRow, elapsed_ms: int, received: list[Received]) -> Done:
        columns = [PlanColumn.model_validate(column) for column in json.loads(output.columns)]
        return Done(
            output=output.id,
            rows=output.rows,
            bytes=output.bytes,
            digest=output.digest,
            columns=columns,
            offers=self._offers(lease, output, columns),
            scanned_bytes=output.scanned_bytes,
            elapsed_ms=elapsed_ms,
            received=received,
        )

    def _offers(self, lease: Lease, output: OutputRow, columns: list[PlanColumn]) -> list[Offer]:
        return [
            Offer(
                output=output.id,
                step=lease.step,
                site=self.site.name,
                url=f"{self.exchange_url}/v1/transfers/{output.id}",
                ticket=mint(
                    Ticket(
                        job=lease.job,
                        step=lease.step,
                        fence=lease.fence,
                        output=output.id,
                        digest=output.digest,
                        consumer=consumer.site,
                        key=consumer.public_key,
                        expires_s=output.expires_ms // 1000,
                    ),
                    self.keys.seal,
                ),
                rows=output.rows,
                bytes=output.bytes,
                digest=output.digest,
                columns=columns,
            )
            for consumer in lease.consumers
        ]


def _since_ms(started_s: float) -> int:
    return round((time.monotonic() - started_s) * 1000)


def _received(lease: Lease, running: Running) -> list[Received]:
    rows = {offer.step: offer.rows for offer in lease.inputs}
    return [Received(step=step, rows=rows[step], bytes=arrival.bytes) for step, arrival in running.arrivals.items()]


def _release(lease: Lease, checked: CheckedStep, outcome: TaskDone) -> Release:
    sources = [
        Source(item.lake, item.dataset, item.snapshot, tuple(column.name for column in item.columns))
        for item in checked.step.inputs
        if isinstance(item, DatasetInput)
    ]
    receivers = [lease.principal] if lease.is_result else [consumer.site for consumer in lease.consumers]
    return Release(
        tenant=lease.tenant,
        principal=lease.principal,
        purpose=lease.purpose,
        job=lease.job,
        step=lease.step,
        kind="result" if lease.is_result else "transfer",
        receivers=tuple(receivers),
        plan_digest=lease.plan_digest,
        digest=outcome.digest,
        rows=outcome.rows,
        bytes=outcome.bytes,
        columns=tuple(checked.step.columns),
        sources=tuple(sources),
    )
