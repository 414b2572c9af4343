"""What a worker hands to a kernel process: its settings once, then work. Light, as processes without DuckDB use it."""

from __future__ import annotations

from pydantic import Field

from datacanal.protocol.base import Document
from datacanal.site.engine.specification import Task


class KernelSettings(Document):
    """What a kernel process is given at its start and never changes."""

    readable: list[str] = Field(description="directories that tasks may read (the lakes)")
    scratch: str = Field(description="directory of outputs and received inputs")
    spill: str = Field(description="directory that this kernel alone spills into")
    spill_bytes: int
    memory_bytes: int = Field(description="the most that any task of this kernel is given")
    threads: int


class Work(Document):
    """A task with the limits of the slot that it runs in. After `limit_s` of running its kernel is killed."""

    task: Task
    memory_bytes: int
    threads: int
    limit_s: float | None = None
