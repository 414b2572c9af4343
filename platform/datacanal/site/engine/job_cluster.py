"""What the Dask processes of one Python job share. User code may do in its own cluster whatever Dask does."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from datacanal.protocol.base import Document
from datacanal.site.engine.python_task import STAGE


class JobSettings(Document):
    """The shape of a job's driver and of each of its workers; `memory_bytes` is what each may use."""

    tls: str = Field(description="directory with ca.pem, cert.pem and key.pem")
    directory: str = Field(description="where Dask and DuckDB may keep files of their own")
    stage: str = Field(default=STAGE, description="where the job's tables are")
    threads: int
    memory_bytes: int
    host: str = Field(default="", description="where scheduler and workers listen; empty: the container's own")


JOB_CONFIGURATION: dict[str, Any] = {
    "distributed.admin.event-loop": "asyncio",
    "distributed.comm.require-encryption": True,
    "distributed.diagnostics.nvml": False,
    # A worker that dies is replaced; what took three of them down would take the next one too.
    "distributed.scheduler.allowed-failures": 2,
    "distributed.scheduler.no-workers-timeout": "30s",
    "distributed.worker.daemon": False,
    # Nobody watches over a worker but the container's own limit.
    "distributed.worker.memory.terminate": False,
    "distributed.worker.profile.enabled": False,
    "distributed.worker.use-file-locking": False,
}
"""Dask's defaults but for these: nothing is blocked, results spill, work is stolen."""
