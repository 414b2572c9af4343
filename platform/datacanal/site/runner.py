"""Run one leased step from the check to the offer. Everything it does may be done twice."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from datacanal.domain.errors import DatacanalError, OutputLost, PythonReturnedNoTable
from datacanal.protocol.plan import Step
from datacanal.protocol.problem import error_of, problem_of
from datacanal.protocol.site import Done, Failed, Lease, Offer, Received
from datacanal.site.engine.specification import Task, TaskDone, TaskFailed
from datacanal.site.fetcher import Arrival, Fetcher
from datacanal.site.fleet.port import Pool
from datacanal.site.gate.passing import EgressGate
from datacanal.site.keys import SiteKeys
from datacanal.site.lakes.registry import LakeRegistry
from datacanal.site.outgoing import output_row, passage_of, told_rows
from datacanal.site.places import Places
from datacanal.site.python_runs import PythonRuns, returned_task
from datacanal.site.running import Running
from datacanal.site.store.models import OutputRow
from datacanal.site.store.work import WorkStore
from datacanal.site.tasks import guard_file, leaving, step_task
from datacanal.site.tickets import Ticket, mint
from datacanal.site.verifier import Site, StepVerifier, VerifiedStep


@dataclass(frozen=True)
class StepRunner:
    """The parts of the agent that a step needs. `transfer_expiry_s` is how long an output waits to be fetched."""

    site: Site
    verifier: StepVerifier
    keys: SiteKeys
    exchange_url: str
    places: Places
    lakes: LakeRegistry
    work: WorkStore
    gate: EgressGate
    fetcher: Fetcher
    pool: Pool
    python: PythonRuns
    clock: Callable[[], datetime]
    new_id: Callable[[str], str]
    transfer_expiry_s: float

    async def run(self, lease: Lease, running: Running) -> Done | Failed:
        """The outcome of the attempt; only cancellation raises."""
        started_s = time.monotonic()
        try:
            verified = await asyncio.to_thread(self.verifier.verified, lease)
            output = await asyncio.to_thread(self._kept, lease)
            if output is None:
                output = await self._made(lease, verified, running)
        except DatacanalError as error:
            return Failed(
                problem=problem_of(error), elapsed_ms=_since_ms(started_s), received=_received(lease, running)
            )
        running.fraction = 1.0
        return self._done(lease, verified.step, output, _since_ms(started_s), _received(lease, running))

    def _kept(self, lease: Lease) -> OutputRow | None:
        """What an earlier attempt made and the gate let out already."""
        output = self.work.output_of(lease.job, lease.step, lease.plan_digest)
        return output if output is not None and Path(output.path).is_file() else None

    async def _made(self, lease: Lease, verified: VerifiedStep, running: Running) -> OutputRow:
        output_id = self.new_id("out")
        file = self.places.outputs / f"{output_id}.arrow"
        senders = [*verified.offers, *verified.at_hand]
        inputs = {step: self.places.inputs / f"{output_id}.{number}" for number, step in enumerate(senders)}
        returned = self.places.inputs / f"{output_id}.returned"
        try:
            await asyncio.to_thread(self._hold, verified, inputs)
            await self._fetch_all(lease, verified, inputs, running)
            room_bytes = await asyncio.to_thread(self.places.room_bytes)
            said_rows = None
            if verified.step.kind == "python":
                said_rows = await self.python.run(lease, verified, inputs, returned, room_bytes, running)
                task = returned_task(lease, verified.step, returned, file, room_bytes)
            else:
                task = step_task(lease, verified, self.keys, self.lakes.roots, inputs, file, room_bytes)
            outcome = await self._pooled(task, running)
            if not isinstance(outcome, TaskDone):
                error = error_of(outcome.problem)
                await asyncio.to_thread(self.verifier.note_failure, lease, error)
                raise error
            if said_rows not in (None, outcome.rows):
                raise PythonReturnedNoTable  # a stream may break off between two batches
            return await asyncio.to_thread(self._released, lease, verified, output_id, file, outcome)
        except BaseException:
            file.unlink(missing_ok=True)
            raise
        finally:
            for left in (guard_file(file), returned, *inputs.values()):
                left.unlink(missing_ok=True)

    def _hold(self, verified: VerifiedStep, inputs: Mapping[str, Path]) -> None:
        """Give what this site made itself a name of this attempt's, so that no sweeping takes it away meanwhile."""
        for step, file in verified.at_hand.items():
            try:
                inputs[step].hardlink_to(file)
            except FileNotFoundError:
                raise OutputLost(step=step, site=self.site.name) from None

    async def _fetch_all(
        self, lease: Lease, verified: VerifiedStep, inputs: Mapping[str, Path], running: Running
    ) -> None:
        if not verified.offers:
            return
        running.waits = "inputs arrive from other sites"
        running.arrivals = {step: Arrival() for step in verified.offers}
        fetches = [
            asyncio.create_task(self._fetch(lease, offer, inputs[step], running.arrivals[step]))
            for step, offer in verified.offers.items()
        ]
        try:
            await asyncio.gather(*fetches)
        finally:
            for fetch in fetches:
                fetch.cancel()
            await asyncio.gather(*fetches, return_exceptions=True)
        running.waits = None

    async def _fetch(self, lease: Lease, offer: Offer, file: Path, arrival: Arrival) -> None:
        await self.fetcher.fetch(offer, file, arrival)
        await asyncio.to_thread(self.verifier.check_received, lease, offer.step, file)

    async def _pooled(self, task: Task, running: Running) -> TaskDone | TaskFailed:
        running.in_pool = True
        try:
            outcome = await self.pool.run(task)
        finally:
            running.in_pool = False
        running.said += outcome.said
        return outcome

    def _released(self, lease: Lease, verified: VerifiedStep, output_id: str, file: Path, made: TaskDone) -> OutputRow:
        """Keep what was made, past the gate if it leaves or has groups."""
        self.verifier.check_approved(lease, verified)
        now = self.clock()
        expiry_s = lease.result_expiry_s if lease.is_result else self.transfer_expiry_s
        output = output_row(lease, verified.step, output_id, file, made, now, expiry_s)
        if leaving(lease) == "step" and verified.step.protection is None:
            self.work.save_output(output)
            return output
        return self.gate.pass_out(passage_of(lease, verified, output), now)

    def _done(self, lease: Lease, step: Step, output: OutputRow, elapsed_ms: int, received: list[Received]) -> Done:
        rows = told_rows(step, output.rows, exactly=lease.is_result)
        return Done(
            output=output.id,
            rows=rows,
            bytes=output.bytes,
            digest=output.digest,
            columns=step.columns,
            offers=self._offers(lease, step, output, rows),
            scanned_bytes=output.scanned_bytes,
            elapsed_ms=elapsed_ms,
            received=received,
        )

    def _offers(self, lease: Lease, step: Step, output: OutputRow, rows: int) -> list[Offer]:
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
                rows=rows,
                bytes=output.bytes,
                digest=output.digest,
                columns=step.columns,
            )
            for consumer in lease.consumers
        ]


def _since_ms(started_s: float) -> int:
    return round((time.monotonic() - started_s) * 1000)


def _received(lease: Lease, running: Running) -> list[Received]:
    rows = {offer.step: offer.rows for offer in lease.inputs}
    return [Received(step=step, rows=rows[step], bytes=arrival.bytes) for step, arrival in running.arrivals.items()]
