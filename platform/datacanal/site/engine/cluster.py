"""What the pool's Dask processes share: their settings, and Dask's own configuration as small and closed as it goes."""

from __future__ import annotations

import logging
import socket
from pathlib import Path
from typing import Any

from pydantic import Field

from datacanal.protocol.base import Document
from datacanal.site.engine.specification import PoolShape


class ClusterSettings(Document):
    """One pool's shape as its processes are given it."""

    tls: str = Field(description="directory with ca.pem, cert.pem and key.pem")
    directory: str = Field(description="where Dask may keep files of its own")
    threads: int
    memory_bytes: int
    readable: list[str]
    scratch: str
    spill_bytes: int
    express_s: float = Field(default=5, description="how long a task may stay in the express slot")
    host: str = Field(description="where scheduler and workers listen; empty: the container's own")

    @property
    def express_memory_bytes(self) -> int:
        """The express slot is an extra one, so it is given a quarter of a worker's memory."""
        return max(self.memory_bytes // 4, min(self.memory_bytes, 128 * 2**20))


def settings_of(
    shape: PoolShape, *, tls: Path, directory: Path, express_s: float, host: str = "127.0.0.1"
) -> ClusterSettings:
    """The settings of a pool of that shape whose kernels may use all the memory of its workers."""
    return ClusterSettings(
        tls=str(tls),
        directory=str(directory),
        threads=shape.threads,
        memory_bytes=shape.memory_bytes,
        readable=shape.readable,
        scratch=shape.scratch,
        spill_bytes=shape.spill_bytes,
        express_s=express_s,
        host=host,
    )


def listening_host(host: str) -> str:
    """The address that scheduler and workers listen on: the one given, or else the container's own."""
    return host or socket.gethostbyname(socket.gethostname())


DASK_CONFIGURATION: dict[str, Any] = {
    "distributed.admin.event-loop": "asyncio",
    "distributed.admin.system-monitor.disk": False,
    "distributed.admin.system-monitor.host-cpu": False,
    "distributed.admin.system-monitor.interval": "10s",
    "distributed.admin.tick.limit": "30s",
    "distributed.client.heartbeat": "5s",
    "distributed.comm.require-encryption": True,
    "distributed.comm.retry.count": 0,
    "distributed.diagnostics.nvml": False,
    "distributed.scheduler.active-memory-manager.start": False,
    # A task that took its worker down is not given to another one: whether to try again is the coordinator's choice.
    "distributed.scheduler.allowed-failures": 0,
    "distributed.scheduler.blocked-handlers": [
        "feed",
        "run_function",
        "register_scheduler_plugin",
        "register_worker_plugin",
        "register_nanny_plugin",
        "register_nanny",
        "scatter",
        "restart",
        "restart_workers",
    ],
    "distributed.scheduler.work-stealing": False,
    "distributed.scheduler.worker-ttl": None,
    "distributed.worker.blocked-handlers": [
        "run",
        "run_coroutine",
        "actor_execute",
        "actor_attribute",
        "plugin-add",
        "plugin-remove",
        "update_data",
    ],
    "distributed.worker.memory.pause": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.terminate": False,
    "distributed.worker.profile.enabled": False,
    "distributed.worker.use-file-locking": False,
    "distributed.worker.daemon": False,
}


def quiet() -> None:
    """Let Dask speak of warnings only: what goes well is in our own events."""
    logging.getLogger("distributed").setLevel(logging.WARNING)


def security_arguments(tls: str) -> dict[str, Any]:
    """The arguments of `distributed.Security`: every side shows the pool's certificate and asks for it."""
    roles = ("scheduler", "worker", "client")
    return {
        "require_encryption": True,
        "tls_ca_file": f"{tls}/ca.pem",
        **{f"tls_{role}_cert": f"{tls}/cert.pem" for role in roles},
        **{f"tls_{role}_key": f"{tls}/key.pem" for role in roles},
    }
