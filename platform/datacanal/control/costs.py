"""What a job used, over all its attempts, whatever became of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from datacanal.protocol.plan import Plan
from datacanal.protocol.site import Received
from datacanal.state.models import AttemptRow


@dataclass(frozen=True, slots=True)
class JobCosts:
    """Bytes that were scanned and that crossed between sites, and the time of all workers together."""

    scan_bytes: int = 0
    egress_bytes: int = 0
    worker_ms: int = 0


def costs_of(plan: Plan | None, attempts: Sequence[AttemptRow]) -> JobCosts:
    """The sum over the attempts. A step of SQL counts as one worker, one of Python as those it asked for."""
    workers = {step.id: step.python.workers for step in plan.steps if step.python is not None} if plan else {}
    return JobCosts(
        scan_bytes=sum(attempt.scanned_bytes for attempt in attempts),
        egress_bytes=sum(item.bytes for attempt in attempts for item in _received(attempt)),
        worker_ms=sum(_elapsed_ms(attempt) * workers.get(attempt.step_id, 1) for attempt in attempts),
    )


def _received(attempt: AttemptRow) -> list[Received]:
    return [Received.model_validate(item) for item in json.loads(attempt.received)]


def _elapsed_ms(attempt: AttemptRow) -> int:
    """As its site told it; of an attempt that was stopped or lost, from its lease to its end."""
    if attempt.elapsed_ms is not None:
        return attempt.elapsed_ms
    if attempt.finished_at is None:
        return 0
    return max(0, int((attempt.finished_at - attempt.started_at).total_seconds() * 1000))
