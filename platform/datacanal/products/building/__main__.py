"""`python -m datacanal.products.building`: one order from stdin, its answer on stdout, the end."""

from __future__ import annotations

import os
import resource
import sys
from pathlib import Path

import duckdb

from datacanal.domain.errors import DatacanalError
from datacanal.domain.product_errors import BuildOutOfMemory
from datacanal.frames import claim_stdout
from datacanal.lifeline import hold_on
from datacanal.products.building.checking import check
from datacanal.products.building.comparing import compare
from datacanal.products.building.engine import connect
from datacanal.products.building.failures import failure_of
from datacanal.products.building.orders import (
    Answer,
    AnyOrder,
    Assignment,
    BuildOrder,
    CheckOrder,
    CompareOrder,
    ReplayOrder,
    Result,
)
from datacanal.products.building.replaying import replay
from datacanal.products.building.writing import build
from datacanal.protocol.problem import problem_of

_HARD_STOP_BYTES = 2**30
"""Beyond what the order may use: address space of threads and libraries counts here, and is no memory yet."""

_RAISED = (DatacanalError, duckdb.Error, MemoryError, OSError)


def main() -> None:
    """Answer one order."""
    hold_on()
    answers = claim_stdout()
    assignment = Assignment.model_validate_json(sys.stdin.buffer.readline())
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_DATA, (assignment.memory_bytes + _HARD_STOP_BYTES,) * 2)
    answers.write(_answer(assignment).model_dump_json().encode() + b"\n")
    answers.flush()
    os._exit(0)  # DuckDB's threads and what they hold need no tidying in a process of one order


def _answer(assignment: Assignment) -> Answer:
    try:
        return Answer(result=_result(assignment).model_dump(mode="json"))
    except _RAISED as error:
        return Answer(problem=problem_of(failure_of(error, assignment.memory_bytes)))


def _result(assignment: Assignment) -> Result:
    """With several threads each holds buffers of its own: where memory does not suffice, one may do."""
    try:
        return carried_out(assignment)
    except _RAISED as error:
        is_tight = isinstance(failure_of(error, assignment.memory_bytes), BuildOutOfMemory)
        if not is_tight or assignment.threads == 1:
            raise
    return carried_out(assignment.model_copy(update={"threads": 1}))


def carried_out(assignment: Assignment) -> Result:
    """The order's result. Raises errors of the tree, DuckDB's and the system's."""
    order = assignment.order
    with connect(assignment.memory_bytes, assignment.threads, assignment.spill, _folders(order)) as connection:
        match order:
            case BuildOrder():
                return build(order, connection, sparing=assignment.threads == 1)
            case CheckOrder():
                return check(order, connection)
            case CompareOrder():
                return compare(order, connection)
            case ReplayOrder():
                return replay(order.old, order.new, order.queries, connection)


def _folders(order: AnyOrder) -> list[Path]:
    match order:
        case BuildOrder():
            return [order.source.parent, order.store]
        case CheckOrder():
            return [order.folder, *([order.against] if order.against else [])]
        case CompareOrder() | ReplayOrder():
            return [order.old, order.new]


if __name__ == "__main__":
    main()
