"""The disposable process in which users' statements are parsed and bound: `python -m datacanal.planning.child`.

Binding folds constants, so it can eat any memory and time. Here both are limited: memory by the system, time by the
parent's kill. Requests and answers are JSON in frames over stdin and stdout.
"""

from __future__ import annotations

import resource
import sys
from typing import Any

from datacanal.domain.errors import DatacanalError, PlanningTooExpensive, SqlTooDeep
from datacanal.frames import claim_stdout, read_frame, write_frame
from datacanal.lifeline import hold_on
from datacanal.planning.binding import BindRequest
from datacanal.planning.duckdb_binder import DuckDBBinder
from datacanal.planning.messages import decoded, encoded
from datacanal.planning.text import MAX_DEPTH

MEMORY_BYTES = 768 * 2**20


def main() -> None:
    """Answer requests until stdin ends."""
    hold_on()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_BYTES, MEMORY_BYTES))
    answers = claim_stdout()
    binder = DuckDBBinder()
    _warm_up(binder)
    write_frame(answers, encoded({"ready": True, "kernel": binder.kernel}))
    while (request := read_frame(sys.stdin.buffer)) is not None:
        write_frame(answers, encoded(_answer(binder, decoded(request))))


def _warm_up(binder: DuckDBBinder) -> None:
    """The first statement of a connection is slow; let it be ours."""
    binder.print_checked(binder.parse("SELECT 1"))


def _answer(binder: DuckDBBinder, request: dict[str, Any]) -> dict[str, Any]:
    try:
        return {"ok": _call(binder, request)}
    except DatacanalError as error:
        return _refusal(error)
    except MemoryError:
        return _refusal(PlanningTooExpensive(limit="its memory"))
    except RecursionError:
        return _refusal(SqlTooDeep(limit=MAX_DEPTH))


def _refusal(error: DatacanalError) -> dict[str, Any]:
    return {"error": type(error).__name__, "data": error.data}


def _call(binder: DuckDBBinder, request: dict[str, Any]) -> Any:
    argument = request["argument"]
    match request["call"]:
        case "parse":
            return binder.parse(argument)
        case "print_checked":
            return binder.print_checked(argument)
        case "bind":
            return [binding.model_dump() for binding in binder.bind(BindRequest.model_validate(argument))]
        case other:
            raise ValueError(f"there is no call {other!r}")


if __name__ == "__main__":
    main()
