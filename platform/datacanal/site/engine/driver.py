"""The driver of one Python job: `python -m datacanal.site.engine.driver SETTINGS NAME`, the place where its code runs.

Everything here shares a process with code that may do anything, so nothing here is trusted by anybody: the agent
believes the frames no more than the table. What the driver sees to is that an honest function's failure is told by its
right name, and that what ends halfway cannot be taken for a whole table: only `Returned` says that it is.
"""

from __future__ import annotations

import contextlib
import io
import os
import signal
import sys
import traceback
from typing import NoReturn

import cloudpickle  # noqa: F401  # functions are loaded with it; here, so that it is there ahead
import dask
import pyarrow as pa
from distributed.scheduler import KilledWorker

from datacanal.domain.errors import OutOfDisk, OutOfMemory
from datacanal.frames import claim_stdout, read_frame
from datacanal.lifeline import hold_on
from datacanal.site.engine.assignment import RESULT
from datacanal.site.engine.cluster import quiet
from datacanal.site.engine.context import Context
from datacanal.site.engine.contract import Contract, Shaped
from datacanal.site.engine.failures import failure_of
from datacanal.site.engine.function import arguments_of, function_of
from datacanal.site.engine.giving_up import GivesUp, Why
from datacanal.site.engine.job_cluster import JOB_CONFIGURATION, JobSettings
from datacanal.site.engine.own_cluster import OwnCluster
from datacanal.site.engine.python_task import DriverReady, GaveUp, PythonTask, Returned, UserCodeBegins
from datacanal.site.engine.result_line import ResultLine
from datacanal.site.engine.returned import tables_of
from datacanal.site.engine.voice import Voice
from datacanal.site.engine.writers import write_arrow


def main(arguments: list[str]) -> None:
    """Run one task, tell how it ended, and wait to be ended: the agent reads the rest of the table first."""
    hold_on()
    voice = Voice(claim_stdout())
    settings = JobSettings.model_validate_json(arguments[0])
    line = ResultLine(int(os.environ.pop(RESULT)))
    quiet()
    pa.set_cpu_count(settings.threads)
    dask.config.set(JOB_CONFIGURATION)
    voice.say(DriverReady())
    frame = read_frame(sys.stdin.buffer)
    if frame is None:
        return
    _close_stdin()
    outcome = outcome_of(PythonTask.model_validate_json(frame), settings, line, voice)
    if not voice.is_ours():
        os._exit(1)
    line.end()
    voice.last(outcome)
    _wait_for_the_end()


def outcome_of(task: PythonTask, settings: JobSettings, line: io.RawIOBase, voice: Voice) -> Returned | GaveUp:
    """Run the function and send what it returns. Whatever it raises, exits included, is no table."""
    try:
        return _run(task, settings, line, voice)
    except GivesUp as error:
        _write_words(str(error))
        return GaveUp(why=error.why)
    except BaseException as error:
        why = _why(error)
        _write_words(_traceback(error))
        return GaveUp(why=why)
    finally:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(BaseException):  # the function may have put anything there
                stream.flush()


def _run(task: PythonTask, settings: JobSettings, line: io.RawIOBase, voice: Voice) -> Returned:
    function = function_of(task.code)
    cluster = OwnCluster(task.scheduler, task.workers, settings)
    params = arguments_of(function, task.params)
    context = Context(task, params, settings, cluster, voice)
    voice.say(UserCodeBegins())
    value = function(context, **params)
    contract = Contract(task.columns)  # two databases: not before the function, which somebody waits for
    tables = tables_of(value, contract.names, cluster.client_if_any)
    rows = write_arrow(Shaped(contract, tables), line, contract.columns)
    return Returned(rows=rows, bytes=line.tell())


def _why(error: BaseException) -> Why:
    """The name of what was raised; a hostile exception is raised like any other."""
    with contextlib.suppress(BaseException):
        if isinstance(error, KilledWorker):
            return "out_of_memory"
        match failure_of(error, 0, ""):
            case OutOfMemory():
                return "out_of_memory"
            case OutOfDisk():
                return "out_of_disk"
    return "raised"


def _traceback(error: BaseException) -> str:
    try:
        return "".join(traceback.format_exception(error))
    except BaseException:  # printing an exception runs its own code
        return "The function raised an exception that cannot be printed."


def _write_words(words: str) -> None:
    """To the descriptor itself: the function may have put anything in the place of `sys.stderr`."""
    with contextlib.suppress(OSError), os.fdopen(2, "wb", closefd=False) as stream:
        stream.write(f"{words.rstrip()}\n".encode(errors="replace"))


def _close_stdin() -> None:
    """What the function reads from its standard input is nothing, rather than frames."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)


def _wait_for_the_end() -> NoReturn:
    while True:
        with contextlib.suppress(BaseException):  # a signal handler of the function's
            signal.pause()


if __name__ == "__main__":
    main(sys.argv[1:])
