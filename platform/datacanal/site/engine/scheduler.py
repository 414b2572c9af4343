"""The pool's Dask scheduler: `python -m datacanal.site.engine.scheduler SETTINGS NAME`, mutual TLS only."""

from __future__ import annotations

import asyncio
import sys
from typing import Any, BinaryIO

import dask
from distributed import Scheduler, Security

from datacanal.frames import claim_stdout
from datacanal.lifeline import hold_on
from datacanal.site.engine.announcements import SchedulerAddress, announce
from datacanal.site.engine.cluster import DASK_CONFIGURATION, ClusterSettings, listening_host, quiet, security_arguments
from datacanal.site.engine.job_cluster import JobSettings


class ClosedScheduler(Scheduler):
    """A scheduler without its HTTP server, which answers whoever asks."""

    def start_http_server(self, *_: Any, **__: Any) -> None:
        """Serve nothing over HTTP."""


async def serve(settings: ClusterSettings | JobSettings, told: BinaryIO) -> None:
    """Tell the parent the address, then schedule until ended."""
    security = Security(**security_arguments(settings.tls))  # type: ignore[no-untyped-call]  # distributed's own
    async with ClosedScheduler(
        host=listening_host(settings.host), port=0, protocol="tls", security=security, dashboard=False
    ) as scheduler:
        announce(told, SchedulerAddress(address=scheduler.address))
        await scheduler.finished()


def main(arguments: list[str]) -> None:
    """Run until killed."""
    hold_on()
    told = claim_stdout()
    settings = ClusterSettings.model_validate_json(arguments[0])
    quiet()
    with dask.config.set(DASK_CONFIGURATION):
        asyncio.run(serve(settings, told))


if __name__ == "__main__":
    main(sys.argv[1:])
