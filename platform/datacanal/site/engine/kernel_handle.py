"""A kernel process as its worker holds it: started ahead, given one task at a time, killed at will."""

from __future__ import annotations

import os
import select
import shutil
import signal
import subprocess
import threading
from pathlib import Path
from typing import BinaryIO, cast

from datacanal.domain.errors import AttemptLost, DatacanalError, OutOfMemory
from datacanal.frames import BadFrame, read_frame, write_frame
from datacanal.lifeline import spawn
from datacanal.protocol.problem import problem_of
from datacanal.site.engine.memory_kills import memory_kills
from datacanal.site.engine.output import temporary_path
from datacanal.site.engine.specification import OUTCOME, TaskDone, TaskFailed
from datacanal.site.engine.work import KernelSettings, Work

_MODULE = "datacanal.site.engine.kernel_process"
# Arrow's own allocator takes a gigabyte of addresses at its first use, which the kernel's memory limit would count.
_ALLOCATOR = {"ARROW_DEFAULT_MEMORY_POOL": "system"}


class KernelHandle:
    """One kernel process. `run` blocks its thread; `kill` may come from any other."""

    def __init__(self, settings: KernelSettings) -> None:
        self._settings = settings
        self._killed = threading.Event()
        self._process = spawn(
            _MODULE,
            [settings.model_dump_json()],
            environment={**os.environ, **_ALLOCATOR},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self._ready = False

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it can be given a task."""
        return not self._killed.is_set() and self._process.poll() is None

    def wait_ready(self) -> bool:
        """Wait until it can run at once; false where it died instead."""
        if not self._ready:
            self._ready = read_frame(cast("BinaryIO", self._process.stdout)) is not None
        return self._ready

    def run(self, work: Work) -> TaskDone | TaskFailed:
        """Run the task to its outcome; a process that dies under it gives `AttemptLost` or `OutOfMemory`."""
        kills = memory_kills()
        try:
            outcome = self._outcome(work)
        except (OSError, BadFrame):
            outcome = None
        if outcome is None:
            outcome = self._lost(work, kills)
        if not outcome.ok:
            temporary_path(Path(work.task.output)).unlink(missing_ok=True)
        return outcome

    def kill(self) -> None:
        """End the process now. A `run` under way then returns."""
        self._killed.set()
        self._process.kill()

    def bury(self) -> None:
        """After its death: take its exit status, close its pipes, remove what it spilled."""
        self.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        shutil.rmtree(self._settings.spill, ignore_errors=True)

    def _outcome(self, work: Work) -> TaskDone | TaskFailed | None:
        replies, requests = cast("BinaryIO", self._process.stdout), cast("BinaryIO", self._process.stdin)
        if not self.wait_ready():
            return None
        write_frame(requests, work.model_dump_json().encode())
        answered, _, _ = select.select([replies], [], [], work.limit_s)
        if not answered:
            self.kill()
        reply = read_frame(replies)
        return None if reply is None else OUTCOME.validate_json(reply)

    def _lost(self, work: Work, kills: int) -> TaskFailed:
        self._process.kill()
        code = self._process.wait()
        starved = code == -signal.SIGABRT or (code == -signal.SIGKILL and memory_kills() > kills)
        return TaskFailed(
            problem=problem_of(_cause(code, work.memory_bytes, asked=self._killed.is_set(), starved=starved)),
            elapsed_ms=0,
            said=f"the kernel process ended with status {code}",
        )


def _cause(code: int, memory_bytes: int, *, asked: bool, starved: bool) -> DatacanalError:
    """An allocation that fails where C++ may not throw aborts the process; nothing else aborts a kernel."""
    if asked:
        return AttemptLost(reason="its kernel process was killed")
    if starved:
        return OutOfMemory(limit_bytes=memory_bytes)
    return AttemptLost(reason=f"its kernel process died ({_name(code)})")


def _name(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f"exit status {code}"


def spill_directory(scratch: str, owner: str, number: int) -> str:
    """Where the n-th kernel of a worker spills."""
    return os.path.join(scratch, "spill", owner, str(number))  # noqa: PTH118  # settings hold text
