"""A Python job's Dask scheduler: `python -m datacanal.site.engine.job_scheduler SETTINGS NAME`, mutual TLS only."""

from __future__ import annotations

import asyncio
import sys

import dask
import dask.dataframe  # loaded while the container waits: frames' graphs are built in the scheduler

from datacanal.frames import claim_stdout
from datacanal.lifeline import hold_on
from datacanal.site.engine.cluster import quiet
from datacanal.site.engine.job_cluster import JOB_CONFIGURATION, JobSettings
from datacanal.site.engine.scheduler import serve


def main(arguments: list[str]) -> None:
    """Run until killed."""
    hold_on()
    told = claim_stdout()
    settings = JobSettings.model_validate_json(arguments[0])
    quiet()
    with dask.config.set(JOB_CONFIGURATION):
        asyncio.run(serve(settings, told))


if __name__ == "__main__":
    main(sys.argv[1:])
