"""Which datasets the words of an attempt may quote."""

from __future__ import annotations

import json
from collections.abc import Sequence

from datacanal.protocol.labels import FREE
from datacanal.protocol.plan import DatasetInput, Step, StepInput
from datacanal.protocol.site import Lease
from datacanal.site.python_shape import strictest, told_columns
from datacanal.site.store.models import AttemptRow


def reads_of(lease: Lease) -> str | None:
    """Their names (`lake.name`) as a JSON list; None where nobody can tell what the words may hold."""
    step = next((step for step in lease.plan.steps if step.id == lease.step), None)
    if step is None or _may_print_anything(step):
        return None
    return json.dumps(sorted({name for item in step.inputs for name in _names(item)}), ensure_ascii=False)


def _may_print_anything(step: Step) -> bool:
    """A function that was given governed columns: what a steward approved is its table, not its talk."""
    columns = [column for item in step.inputs for column in told_columns(item)]
    return step.kind == "python" and any(strictest(column.label) not in FREE for column in columns)


def datasets_of(attempts: Sequence[AttemptRow]) -> list[tuple[str, str]]:
    """Lakes and datasets of several attempts, each once."""
    names = {name for attempt in attempts for name in json.loads(attempt.reads or "[]")}
    return [(lake, dataset) for lake, _, dataset in (name.partition(".") for name in sorted(names))]


def _names(item: StepInput) -> set[str]:
    if isinstance(item, DatasetInput):
        return {f"{item.lake}.{item.dataset}"}
    # The output of another step is called `step.…`; what flowed into it stands in its labels.
    named = {f"{item.lake}.{item.dataset}"} if item.lake != "step" else set()
    return named | {f"{owner.lake}.{owner.dataset}" for column in item.shipped for owner in column.label.owners}
