"""A Dask worker of one Python job: `python -m datacanal.site.engine.job_worker SETTINGS NAME`.

It runs what the job's function gives it, in its own threads: its container is its wall.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any, BinaryIO

import dask
import dask.dataframe  # loaded while the container waits, for most jobs' first task needs it
import pyarrow as pa
from distributed import Security, Worker

from datacanal.frames import claim_stdout
from datacanal.lifeline import hold_on
from datacanal.site.engine import arrow_pieces  # noqa: F401  # the same
from datacanal.site.engine.announcements import WorkerAddress, announce, scheduler_address
from datacanal.site.engine.cluster import listening_host, quiet, security_arguments
from datacanal.site.engine.job_cluster import JOB_CONFIGURATION, JobSettings


class JobWorker(Worker):
    """A worker without an HTTP server."""

    def start_http_server(self, *_: Any, **__: Any) -> None:
        """Serve nothing over HTTP."""


async def serve(settings: JobSettings, name: str, told: BinaryIO) -> None:
    """Join the scheduler that the parent names and work until it is gone."""
    address = await asyncio.to_thread(scheduler_address)
    if address is None:
        return
    worker = JobWorker(
        address,
        name=name,
        nthreads=settings.threads,
        host=listening_host(settings.host),
        protocol="tls",
        security=Security(**security_arguments(settings.tls)),  # type: ignore[no-untyped-call]  # distributed's own
        local_directory=settings.directory,
        memory_limit=settings.memory_bytes,
        dashboard=False,
    )
    async with worker:
        announce(told, WorkerAddress(address=worker.address))
        await worker.finished()  # type: ignore[no-untyped-call]  # distributed's own


def main(arguments: list[str]) -> None:
    """Run until killed or until the scheduler is gone."""
    hold_on()
    told = claim_stdout()
    settings, name = JobSettings.model_validate_json(arguments[0]), arguments[1]
    quiet()
    pa.set_cpu_count(settings.threads)
    with dask.config.set(JOB_CONFIGURATION):
        asyncio.run(serve(settings, name, told))


if __name__ == "__main__":
    main(sys.argv[1:])
