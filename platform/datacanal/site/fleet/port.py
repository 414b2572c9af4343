"""The pool as the agent sees it. Real backends and the shipped fake pass one contract suite."""

from __future__ import annotations

from typing import Protocol

from datacanal.site.engine.specification import Task, TaskDone, TaskFailed


class Pool(Protocol):
    """Runs tasks beside the lake. Every method may be called twice to the same effect."""

    @property
    def slots(self) -> int:
        """How many tasks may be handed in at once. It is more than run at once: short ones pass those that wait."""
        ...

    async def ensure_started(self) -> None:
        """Bring the pool up, or find it up. Raises a `DatacanalError` that says why it cannot.

        `spill` and every `*.tmp` file in the scratch directory are the pool's own; the first start removes them.
        """
        ...

    async def run(self, task: Task) -> TaskDone | TaskFailed:
        """Run to the end. A lost worker, scheduler or runner gives `TaskFailed` with `attempt_lost`; never raises."""
        ...

    async def kill(self, task_id: str) -> None:
        """End the task's kernel process now; its `run` then gives `TaskFailed` with `attempt_lost`."""
        ...

    async def ensure_stopped(self) -> None:
        """End every process of the pool and wait until they are gone."""
        ...
