"""One task on one connection: inputs attached, gate passed, statement run, output written, snapshot proven."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from datacanal.planning.instant import INSTANT_FUNCTIONS, instant_statements
from datacanal.protocol.problem import problem_of
from datacanal.site.engine.connection import Connections, Limits
from datacanal.site.engine.diagnosis import diagnosed
from datacanal.site.engine.failures import failure_of, words_of
from datacanal.site.engine.groups import run_groups
from datacanal.site.engine.inputs import Inputs
from datacanal.site.engine.labelling import check_labels
from datacanal.site.engine.output import OutputFile
from datacanal.site.engine.profile import scanned_bytes
from datacanal.site.engine.specification import Task, TaskDone, TaskFailed
from datacanal.site.engine.statement import check_gate, run_into
from datacanal.site.engine.work import KernelSettings, Work

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


class Kernel:
    """Runs tasks one after the other, each on a connection of its own that is opened ahead."""

    def __init__(self, settings: KernelSettings) -> None:
        self._settings = settings
        self._connections = Connections(settings)
        self._connection: DuckDBPyConnection | None = None

    def renew(self) -> None:
        """Make ready for the next task; call it when the outcome of the last is on its way."""
        self._connections.renew()

    def run(self, work: Work) -> TaskDone | TaskFailed:
        """Run to the end. Every failure is an outcome; the output exists only where the outcome is `TaskDone`."""
        started = time.monotonic()
        try:
            return self._done(work, started)
        except Exception as error:  # whatever a library raises is this task's outcome, not this process's end
            self._connections.spoil()
            problem = problem_of(failure_of(error, work.memory_bytes, work.task.sql))
            return TaskFailed(problem=problem, elapsed_ms=_elapsed_ms(started), said=words_of(error.__cause__ or error))

    def interrupt(self) -> None:
        """Ask the statement under way to end. DuckDB listens only between its own steps; a process can be killed."""
        if self._connection is not None:
            self._connection.interrupt()

    def close(self) -> None:
        """Close the connections; the kernel is of no use afterwards."""
        self._connections.close()

    def _done(self, work: Work, started: float) -> TaskDone:
        task = work.task
        limits = Limits(work.memory_bytes, work.threads, lossless=task.format == "lossless")
        connection = self._connection = self._connections.take(limits)
        try:
            if reads_clock := _reads_clock(task.sql):
                connection.execute(";".join(instant_statements(task.now)))
            done = self._run_on(connection, task, started)
        finally:
            connection.close()
        if reads_clock:
            self._connections.spoil()  # the task's own instant stands in this database
        else:
            self._connections.clean()
        return done

    def _run_on(self, connection: DuckDBPyConnection, task: Task, started: float) -> TaskDone:
        if task.gated:
            check_gate(connection, task)
            check_labels(connection, task)
        with (
            Inputs(connection, self._settings.readable) as inputs,
            OutputFile(Path(task.output), task.max_output_bytes) as output,
        ):
            rows, scanned = _made(connection, task, inputs, output)
            output.commit()
        return TaskDone(
            rows=rows,
            bytes=output.bytes,
            digest=output.digest,
            scanned_bytes=scanned,
            elapsed_ms=_elapsed_ms(started),
        )


def _made(connection: DuckDBPyConnection, task: Task, inputs: Inputs, output: OutputFile) -> tuple[int, int]:
    """Attach the inputs and write the output: its rows, and the bytes scanned for it."""
    try:
        inputs.attach(task)
        made = run_groups(connection, task, output) if task.protection else _written(connection, task, output)
    except Exception as error:
        inputs.check()
        raise (output.failure or diagnosed(error, task, inputs.held)) from error
    inputs.check()
    return made


def _written(connection: DuckDBPyConnection, task: Task, output: OutputFile) -> tuple[int, int]:
    rows = run_into(connection, task, output)
    return rows, scanned_bytes(connection)


def _reads_clock(sql: str) -> bool:
    """Whether the text may name a function of the clock; most do not, and fixing the clock takes 3 ms."""
    lowered = sql.lower()
    return any(name in lowered for name in INSTANT_FUNCTIONS)


def _elapsed_ms(started: float) -> int:
    return round((time.monotonic() - started) * 1000)
