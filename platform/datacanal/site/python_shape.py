"""Does a plan with a function make sense? What can be seen in it alone; every site that has a step of it looks.

A function is given tables by name: datasets of its own site, and what the statements of `inputs` gave. Whatever comes
from another step comes from a `query` step that nothing else reads. An input is free to be seen, like any result; a
dataset's table holds columns of that dataset as they are, none of them secret. What is said here of labels holds once
kernel and peers have confirmed them.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Sequence

from datacanal.protocol.labels import STRICTNESS, Label
from datacanal.protocol.plan import (
    DatasetInput,
    Plan,
    PlanColumn,
    PythonCode,
    PythonGiven,
    PythonWork,
    Step,
    StepInput,
    TransferInput,
)
from datacanal.site.step_shape import refused

_PICKLE_AT_MOST = 512 * 1024
_SOURCE_AT_MOST = 65_536
_WORKERS_AT_MOST = 64
_LARGEST_MEMORY_BYTES = 2**40


def python_step(plan: Plan) -> Step | None:
    """The step that runs a function, if the plan has one. Of several, which `check_python` refuses, the first."""
    return next((step for step in plan.steps if step.kind == "python"), None)


def check_python(plan: Plan, site: str) -> None:
    """Raise `StepRefused` unless functions and the steps that feed them are as they have to be."""
    if any((step.kind == "python") != (step.python is not None) for step in plan.steps):
        raise refused(site, "a python step has a function, and no other step has")
    function = python_step(plan)
    if function is None or function.python is None:
        return
    if [step.id for step in plan.steps if step.kind == "python"] != [plan.result_step]:
        raise refused(site, "a plan with a function has one, and that makes the result")
    if function.sql or function.protection is not None or function.relation:
        raise refused(site, "a python step has a function and nothing else to do")
    _check_readers(plan, function, site)
    _check_work(function.python, site)
    for given, item in _paired(function.python, function.inputs, site):
        _check_given(plan, function, given, item, site)
    _check_contract(function, site)


def sender_of(plan: Plan, item: StepInput) -> Step | None:
    """The step whose output the input is; None for a dataset, and for what the plan does not have."""
    wanted = item.from_step if isinstance(item, TransferInput) else None
    return next((step for step in plan.steps if step.id == wanted), None)


def told_columns(item: StepInput) -> list[PlanColumn]:
    """The columns that the function can see of an input."""
    return item.shipped if isinstance(item, TransferInput) else item.columns


def strictest(label: Label) -> str:
    """The class that the label has, or that of anything governed in it, whatever the label says of itself."""
    classes = [origin.policy_class for origin in label.origins if not origin.released]
    return max((label.policy_class, *classes), key=STRICTNESS.index)


def _check_readers(plan: Plan, function: Step, site: str) -> None:
    """What feeds the function feeds nothing else, and the function feeds nobody."""
    for step in plan.steps:
        reads = {item.from_step for item in step.inputs if isinstance(item, TransferInput)}
        queries = {other.id for other in plan.steps if other.id in reads and other.kind in ("query", "python")}
        if function.id in queries or (queries and step.id != function.id):
            raise refused(site, f"step {step.id} reads what no step but the function may")
    kinds = {step.id: step.kind for step in plan.steps}
    for move in plan.transfers:
        if kinds.get(move.from_step) in ("query", "python") and move.to_step != function.id:
            raise refused(site, f"the output of step {move.from_step} is for the function alone")
    fed = {item.from_step for item in function.inputs if isinstance(item, TransferInput)}
    if unread := [step.id for step in plan.steps if step.kind == "query" and step.id not in fed]:
        raise refused(site, f"nothing reads step {unread[0]}")


def _check_work(work: PythonWork, site: str) -> None:
    _check_code(work.code, site)
    if not (0 <= work.workers <= _WORKERS_AT_MOST and 0 < work.memory_bytes <= _LARGEST_MEMORY_BYTES):
        raise refused(site, "no cluster has that size")


def _check_code(code: PythonCode, site: str) -> None:
    try:
        content = base64.b64decode(code.pickle, validate=True)
    except (binascii.Error, ValueError):
        raise refused(site, "the function's pickle is not base64") from None
    if not 0 < len(content) <= _PICKLE_AT_MOST or len(code.source) > _SOURCE_AT_MOST:
        raise refused(site, "the function is larger than any may be")
    if hashlib.sha256(content).hexdigest() != code.digest:
        raise refused(site, "the function does not have the digest that the plan names")


def _paired(work: PythonWork, inputs: Sequence[StepInput], site: str) -> list[tuple[PythonGiven, StepInput]]:
    """Each table by its name with the input that it is."""
    items = {item.occurrence: item for item in inputs}
    names = {(given.kind, given.name.casefold()) for given in work.given}
    occurrences = [given.occurrence for given in work.given]
    if len(items) != len(inputs) or len(names) != len(occurrences) or sorted(occurrences) != sorted(items):
        raise refused(site, "what the function is given is not what the step reads, one by one")
    return [(given, items[given.occurrence]) for given in work.given]


def _check_given(plan: Plan, function: Step, given: PythonGiven, item: StepInput, site: str) -> None:
    if isinstance(item, DatasetInput):
        _check_raw(given, item, site)
        return
    sender = sender_of(plan, item)
    if sender is None or sender.kind != "query" or item.counted or not item.columns == item.shipped == sender.columns:
        raise refused(site, f"the table {given.name!r} is not what a query gives, all of it")
    names = {column.name.casefold() for column in item.columns}
    if len(names) != len(item.columns):
        raise refused(site, f"the columns of the table {given.name!r} are not told apart")
    if given.kind == "dataset":
        _check_table(given, sender, function, site)
    elif governed := [column.name for column in item.columns if strictest(column.label) not in ("public", "masked")]:
        raise refused(site, f"the column {governed[0]!r} of the input {given.name!r} is not free to be seen")


def _check_raw(given: PythonGiven, item: DatasetInput, site: str) -> None:
    """Files as they lie there: only where nothing of them is anything but public."""
    if (given.kind, given.name) != ("dataset", f"{item.lake}.{item.dataset}"):
        raise refused(site, f"the dataset {item.lake}.{item.dataset} is given as something else")
    if any(strictest(column.label) != "public" for column in item.columns):
        raise refused(site, f"not every column of {given.name} is public, and its files are given")


def _check_table(given: PythonGiven, sender: Step, function: Step, site: str) -> None:
    """A dataset's own table, made where the function runs, of its columns as they are."""
    datasets = [item for item in sender.inputs if isinstance(item, DatasetInput)]
    if sender.site != function.site or len(datasets) != 1 or len(sender.inputs) != 1 or sender.params:
        raise refused(site, f"the table {given.name!r} is made of more than that dataset")
    [item] = datasets
    if given.name != f"{item.lake}.{item.dataset}":
        raise refused(site, f"the dataset {item.lake}.{item.dataset} is given as something else")
    for column in sender.columns:
        if column not in item.columns or strictest(column.label) == "secret":
            raise refused(site, f"{given.name} has no column {column.name!r} that a function may see as it is")


def _check_contract(function: Step, site: str) -> None:
    """What the function returns is declared, public, and owned by the owners of all that it is given."""
    names = {column.name.casefold() for column in function.columns}
    if not names or len(names) != len(function.columns):
        raise refused(site, "the columns that the function returns are not told apart")
    labels = [column.label for item in function.inputs for column in told_columns(item)]
    if any(column.label != Label(owners=Label().joined(*labels).owners) for column in function.columns):
        raise refused(site, "what the function returns does not belong to the owners of all that it is given")
