"""A Dask worker of the pool: `python -m datacanal.site.engine.worker SETTINGS NAME`.

It computes nothing itself. A task is JSON that it hands to one of its kernel processes.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any, BinaryIO

import dask
from distributed import Security, Worker, get_worker

from datacanal.frames import claim_stdout
from datacanal.lifeline import hold_on
from datacanal.site.engine.announcements import WorkerAddress, announce, scheduler_address
from datacanal.site.engine.cluster import DASK_CONFIGURATION, ClusterSettings, listening_host, quiet, security_arguments
from datacanal.site.engine.kernel_handle import spill_directory
from datacanal.site.engine.kernels import Kernels
from datacanal.site.engine.work import KernelSettings, Work

_KERNELS = "datacanal-kernels"


async def run_work(attempt: str, work: str) -> str:
    """The pool's one task function: a kernel process runs the work; its outcome comes back as JSON."""
    kernels: Kernels = get_worker().extensions[_KERNELS]
    outcome = await asyncio.to_thread(kernels.run, attempt, Work.model_validate_json(work))
    return outcome.model_dump_json()


class KernelWorker(Worker):
    """A worker without an HTTP server that owns kernel processes and can kill them."""

    def __init__(self, *arguments: Any, kernels: Kernels, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.extensions[_KERNELS] = kernels
        self._kernels = kernels
        self.handlers["kill_attempt"] = self.kill_attempt
        self.handlers["kernel_pids"] = self.kernel_pids

    def start_http_server(self, *_: Any, **__: Any) -> None:
        """Serve nothing over HTTP."""

    def kill_attempt(self, attempt: str) -> None:
        """End the attempt's kernel process, if it is here or comes here."""
        self._kernels.kill(attempt)

    def kernel_pids(self) -> list[int]:
        """The kernel processes that live."""
        return self._kernels.pids()


async def serve(settings: ClusterSettings, name: str, kernels: Kernels, told: BinaryIO) -> None:
    """Join the scheduler that the parent names and work until it is gone."""
    address = await asyncio.to_thread(scheduler_address)
    if address is None:
        return
    worker = KernelWorker(
        address,
        kernels=kernels,
        name=name,
        nthreads=2,  # a regular task and an express one; the runner hands in no more
        host=listening_host(settings.host),
        protocol="tls",
        security=Security(**security_arguments(settings.tls)),  # type: ignore[no-untyped-call]  # distributed's own
        local_directory=settings.directory,
        memory_limit=0,
        dashboard=False,
    )
    async with worker:
        if not await asyncio.to_thread(kernels.first_ready):
            return
        announce(told, WorkerAddress(address=worker.address))
        await worker.finished()  # type: ignore[no-untyped-call]  # distributed's own


def kernels_of(settings: ClusterSettings, name: str) -> Kernels:
    """The kernels of the worker of that name."""

    def kernel_settings(number: int) -> KernelSettings:
        return KernelSettings(
            readable=settings.readable,
            scratch=settings.scratch,
            spill=spill_directory(settings.scratch, name, number),
            spill_bytes=settings.spill_bytes,
            memory_bytes=settings.memory_bytes,
            threads=settings.threads,
        )

    return Kernels(kernel_settings)


def main(arguments: list[str]) -> None:
    """Run until killed or until the scheduler is gone."""
    hold_on()
    told = claim_stdout()
    settings, name = ClusterSettings.model_validate_json(arguments[0]), arguments[1]
    kernels = kernels_of(settings, name)
    kernels.start_ahead()
    quiet()
    with dask.config.set(DASK_CONFIGURATION):
        asyncio.run(serve(settings, name, kernels, told))


if __name__ == "__main__":
    main(sys.argv[1:])
