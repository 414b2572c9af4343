"""Which task runs next, on which worker, in which slot: decisions only, no I/O.

Every worker has one regular slot; the pool has one express slot beside them. A task takes a regular slot where one is
free. Where none is, the express slot lets it prove that it is short; a task that is not goes back to the head of the
queue and from then on takes regular slots only. So long tasks never hold the pool's last slot.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass


@dataclass(frozen=True)
class Slot:
    worker: str
    express: bool


@dataclass(frozen=True)
class _Waiting:
    task: str
    regular_only: bool = False


class Admission:
    """Tasks by their ids; each is waiting or running in one slot."""

    def __init__(self) -> None:
        self._workers: list[str] = []
        self._queue: deque[_Waiting] = deque()
        self._running: dict[str, Slot] = {}

    def join(self, worker: str) -> None:
        """A worker arrived."""
        self._workers.append(worker)

    def leave(self, worker: str) -> list[str]:
        """A worker is gone: gives the tasks that were running there. They stay its own until they are finished."""
        self._workers.remove(worker)
        return [task for task, slot in self._running.items() if slot.worker == worker]

    def enqueue(self, task: str) -> None:
        """A task arrived."""
        self._queue.append(_Waiting(task))

    def start(self) -> list[tuple[str, Slot]]:
        """Take every task that can run now out of the queue, with the slot that it was given."""
        started = []
        for waiting in list(self._queue):
            slot = self._slot_for(waiting)
            if slot is not None:
                self._running[waiting.task] = slot
                self._queue.remove(waiting)
                started.append((waiting.task, slot))
        return started

    def finish(self, task: str) -> None:
        """A running task has its outcome."""
        del self._running[task]

    def demote(self, task: str) -> None:
        """A task had to leave the express slot: it is next for a regular one."""
        self.finish(task)
        self._queue.appendleft(_Waiting(task, regular_only=True))

    def withdraw(self, task: str) -> bool:
        """Drop a task that still waits; false where it does not."""
        found = next((waiting for waiting in self._queue if waiting.task == task), None)
        if found is not None:
            self._queue.remove(found)
        return found is not None

    def _slot_for(self, waiting: _Waiting) -> Slot | None:
        taken = set(self._running.values())
        regular = [slot for worker in self._workers if (slot := Slot(worker, express=False)) not in taken]
        if regular:
            return regular[0]
        if waiting.regular_only or not self._workers or any(slot.express for slot in taken):
            return None
        return Slot(self._workers[0], express=True)
