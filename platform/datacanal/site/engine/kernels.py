"""A worker's kernel processes: as few as serve well. At rest two are idle, one for each slot that it may serve."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from pathlib import Path

from datacanal.site.engine.kernel_handle import KernelHandle
from datacanal.site.engine.specification import TaskDone, TaskFailed, lost
from datacanal.site.engine.work import KernelSettings, Work

_REMEMBERED_KILLS = 1024
_AT_REST = 2
"""A regular task and one in the express slot: a process takes half a second to start, which no step should wait for."""


class Kernels:
    """Thread-safe. `settings` makes the settings of the n-th kernel."""

    def __init__(self, settings: Callable[[int], KernelSettings]) -> None:
        self._settings = settings
        self._numbers = itertools.count()
        self._lock = threading.Lock()
        self._idle: list[KernelHandle] = []
        self._running: dict[str, KernelHandle] = {}
        self._doomed: list[str] = []
        self._closed = False

    def start_ahead(self) -> None:
        """Have the kernels that are needed at rest; starting is not waited for."""
        with self._lock:
            self._idle = self._living()
            while not self._closed and len(self._idle) + len(self._running) < _AT_REST:
                self._idle.append(self._new())

    def first_ready(self) -> bool:
        """Before any task: wait until the first kernel is ready; false where it cannot start."""
        self.start_ahead()
        return self._idle[0].wait_ready()

    def run(self, attempt: str, work: Work) -> TaskDone | TaskFailed:
        """Run in an idle kernel, or a new one where none is idle; blocks until the outcome."""
        kernel = self._take(attempt)
        if kernel is None:
            return lost("it was killed before it began")
        try:
            return kernel.run(work)
        finally:
            self._give_back(attempt, kernel)
            self.start_ahead()

    def kill(self, attempt: str) -> None:
        """End the attempt's kernel now, or see to it that it never starts."""
        with self._lock:
            kernel = self._running.get(attempt)
            if kernel is None:
                self._doomed = [*self._doomed, attempt][-_REMEMBERED_KILLS:]
        if kernel is not None:
            kernel.kill()

    def close(self) -> None:
        """End every kernel."""
        with self._lock:
            self._closed = True
            ending = [*self._idle, *self._running.values()]
            self._idle = []
        for kernel in ending:
            kernel.kill()

    def pids(self) -> list[int]:
        """The processes that live, idle ones too."""
        with self._lock:
            return [kernel.pid for kernel in (*self._idle, *self._running.values()) if kernel.alive]

    def _take(self, attempt: str) -> KernelHandle | None:
        with self._lock:
            if attempt in self._doomed or self._closed:
                return None
            self._idle = self._living()
            kernel = self._idle.pop() if self._idle else self._new()
            self._running[attempt] = kernel
            return kernel

    def _give_back(self, attempt: str, kernel: KernelHandle) -> None:
        with self._lock:
            del self._running[attempt]
            self._idle = self._living()
            if kernel.alive and not self._closed and len(self._idle) < _AT_REST:
                self._idle.append(kernel)
                return
        kernel.bury()  # dead, or one more than is needed at rest

    def _living(self) -> list[KernelHandle]:
        """The idle kernels without those that died meanwhile, which are buried."""
        for kernel in self._idle:
            if not kernel.alive:
                kernel.bury()
        return [kernel for kernel in self._idle if kernel.alive]

    def _new(self) -> KernelHandle:
        settings = self._settings(next(self._numbers))
        Path(settings.spill).parent.mkdir(parents=True, exist_ok=True)
        return KernelHandle(settings)
