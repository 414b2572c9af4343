"""A plan for people: what runs where, what moves and why, and beside the estimates what it really took."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from datacanal.protocol.plan import DatasetInput, Plan, Protection, Step, Transfer
from datacanal.protocol.public import JobStats, StepStats, TransferStats

_WORDS = {
    "scan": "scan",
    "subtree": "a part of the statement, whole",
    "aggregate": "protected groups, of which the gate withholds what is too small",
    "query": "the statement itself",
}
_UNITS = ("B", "kB", "MB", "GB", "TB")


def explain_text(plan: Plan, stats: JobStats | None = None) -> str:
    """The plan in words, several lines. With `stats` of its run the actual figures stand beside the estimates."""
    return "\n".join(_lines(plan, stats))


def size(count: int) -> str:
    """A number of bytes as people say it: `1.2 MB`."""
    value = float(count)
    for unit in _UNITS:
        if value < 1000 or unit == _UNITS[-1]:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    raise AssertionError("the loop returns at the last unit")


def _lines(plan: Plan, stats: JobStats | None) -> Iterator[str]:
    yield from _meeting(plan)
    took = {step.id: step for step in stats.steps} if stats else {}
    moved = list(stats.transfers) if stats else []
    yield ""
    yield "Steps"
    for number, step in enumerate(plan.steps, 1):
        yield from _step(number, step, plan, took.get(step.id))
        for transfer in (t for t in plan.transfers if t.from_step == step.id):
            yield from _transfer(transfer, _taken(transfer, moved))
    yield ""
    yield from _result(plan, stats)
    yield from (f"Policy: {decision}" for decision in plan.policy)


def _meeting(plan: Plan) -> Iterator[str]:
    meeting = plan.meeting
    cost = f", about {size(meeting.bytes)}" if meeting.bytes else ""
    yield f"Everything meets at {meeting.site}: {meeting.reason}{cost}."
    for other in meeting.alternatives:
        about = f"about {size(other.bytes)} would move; " if other.bytes else ""
        yield f"  not at {other.choice}: {about}{other.reason}"


def _step(number: int, step: Step, plan: Plan, took: StepStats | None) -> Iterator[str]:
    elapsed = f" (took {took.elapsed_ms} ms)" if took else ""
    yield f"  {number}. {step.id} at {step.site}: {_what(step, plan)}{elapsed}"
    read = [f"{each.lake}.{each.dataset}" for each in step.inputs if isinstance(each, DatasetInput)]
    if read:
        yield f"     reads {_listed(read)}, about {size(step.estimate.scanned_bytes)}"
    taken = [each.from_step for each in step.inputs if not isinstance(each, DatasetInput)]
    sent = [sender for sender in taken if plan.step(sender).site != step.site]
    if sent:
        yield f"     takes what {_listed(sent)} sent"
    if at_hand := [sender for sender in taken if sender not in sent]:
        yield f"     uses what {_listed(at_hand)} gave"
    if step.protection is not None:
        yield f"     counts {_listed(_entities(step.protection))} in each group"
    if step.python is not None:
        yield f"     runs with {step.python.workers} workers, {size(step.python.memory_bytes)} each"
        return
    rows = f"{step.estimate.rows:,} row{'' if step.estimate.rows == 1 else 's'}"
    yield f"     gives {'perhaps' if step.kind == 'query' else 'about'} {rows}"


def _what(step: Step, plan: Plan) -> str:
    if step.kind == "query" and step.id != plan.result_step:
        return "a table that the function is given"
    if step.python is not None:
        return f"the function {step.python.code.name}"
    return _WORDS[step.kind]


def _entities(protection: Protection) -> list[str]:
    return [f"the individuals of {each.lake}.{each.dataset}" for each in protection.entities]


def _listed(names: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(names))


def _transfer(transfer: Transfer, actual: TransferStats | None) -> Iterator[str]:
    moved = f", moved {size(actual.bytes_wire)} and {actual.rows:,} rows" if actual else ""
    estimate = f"about {size(transfer.estimate.bytes)}"
    yield f"     → {transfer.from_site} sends {transfer.dataset} to {transfer.to_site}: {estimate}{moved}"
    yield f"       {transfer.reason}"
    for other in transfer.alternatives:
        yield f"       instead of {other.choice}, about {size(other.bytes)}: {other.reason}"


def _taken(transfer: Transfer, moved: list[TransferStats]) -> TransferStats | None:
    """The first transfer of the run that fits, taken off the list: runs report in the plan's order."""
    for stats in moved:
        if (stats.from_, stats.to, stats.kind) == (transfer.from_site, transfer.to_site, transfer.kind):
            moved.remove(stats)
            return stats
    return None


def _result(plan: Plan, stats: JobStats | None) -> Iterator[str]:
    columns = ", ".join(f"{column.name} {column.type}" for column in plan.columns)
    yield f"Result: {columns}"
    scanned = sum(step.estimate.scanned_bytes for step in plan.steps)
    moved = sum(transfer.estimate.bytes for transfer in plan.transfers)
    yield f"Estimated: scans {size(scanned)}, moves {size(moved)}."
    if stats is not None:
        rows = "" if stats.result_rows is None else f", {stats.result_rows:,} rows"
        figures = f"scanned {size(stats.bytes_scanned)}, moved {size(stats.bytes_moved)}"
        yield f"Actual: {figures}{rows}, {stats.elapsed_ms} ms."
