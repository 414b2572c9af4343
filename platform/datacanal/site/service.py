"""Run one site's agent until it is told to stop."""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime

import structlog

from datacanal.configuration import Configuration, LakeSection, SiteSection
from datacanal.domain.errors import LakeUnreadable
from datacanal.homes import only_one
from datacanal.logs import configure_logs
from datacanal.serving.runner import bind, stop_asked
from datacanal.site.assembly import SiteSetup, running_site
from datacanal.site.engine.specification import PoolShape
from datacanal.site.fleet.docker import DockerPool, Neighbourhood
from datacanal.site.fleet.job_cluster import ClusterShape
from datacanal.site.fleet.local import LocalPool
from datacanal.site.fleet.port import Pool
from datacanal.site.fleet.python_host import DockerPythonHost, PythonHost
from datacanal.site.joining import PublicDoor, Tokens
from datacanal.site.lakes.product_shelf import ProductShelf, policy_of
from datacanal.site.lakes.registry import Lake
from datacanal.site.launcher.client import LauncherClient
from datacanal.site.launcher.settings import launcher_socket
from datacanal.site.places import Places
from datacanal.site.policy import load_policy

_log = structlog.get_logger()


def serve_site(configuration: Configuration, name: str) -> None:
    """Serve until SIGTERM or SIGINT, then stop within 5 s.

    Raises `BadPolicy`, `LakeUnreadable`, `AlreadyRunning` or `PortInUse` before anything is started,
    and, for a site that has not joined, `Unauthenticated` where no token is found within 30 s, or what refused it.
    """
    site = configuration.site(name)
    lakes = open_lakes(site)
    places = Places(configuration.site_home(name))
    places.ensure()
    configure_logs(f"site {name}")
    with only_one(places.home, "agent.lock"):
        asyncio.run(_serve(configuration, site, lakes, places))


def open_lakes(site: SiteSection) -> list[Lake]:
    """Every lake of the site with its policy, both readable."""
    lakes = [_opened(section) for section in site.lakes]
    for section in site.lakes:
        _check_readable(section)
    return lakes


def _opened(lake: LakeSection) -> Lake:
    if lake.policy is not None:
        return Lake(lake.name, lake.path, load_policy(lake.policy), lake.policy)
    with suppress(OSError):  # said as that of any lake, right after this
        lake.path.mkdir(parents=True, exist_ok=True)
    return Lake(lake.name, lake.path, policy_of(()), shelf=ProductShelf())


def _check_readable(lake: LakeSection) -> None:
    try:
        with os.scandir(lake.path) as entries:
            next(entries, None)
    except OSError as error:
        raise LakeUnreadable(lake=lake.name, url=lake.url, reason=error.strerror or str(error)) from None


async def _serve(configuration: Configuration, site: SiteSection, lakes: Sequence[Lake], places: Places) -> None:
    stop = stop_asked()
    listening = _bind(site)
    stopping = asyncio.create_task(stop.wait())
    serving = asyncio.create_task(_serve_on(listening, configuration, site, lakes, places))
    try:
        await asyncio.wait([stopping, serving], return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopping.cancel()
        serving.cancel()
    with suppress(asyncio.CancelledError):
        await serving


def _bind(site: SiteSection) -> socket.socket:
    return bind(site.exchange, key=f"sites.{site.name}.exchange")


async def _serve_on(
    listening: socket.socket, configuration: Configuration, site: SiteSection, lakes: Sequence[Lake], places: Places
) -> None:
    """Serve; all over again, joining first, when somebody brings another token."""
    async with _open_pool(configuration, site, lakes, places) as (pool, python):
        while True:
            tokens = Tokens(places.home, os.environ.get("DATACANAL_TOKEN", ""))
            setup = SiteSetup(
                name=site.name,
                control=PublicDoor(site.control, site.ca),
                lakes=tuple(lakes),
                places=places,
                tokens=tokens,
                pool=pool,
                python=python,
                limits=configuration.limits,
                exchange_url=site.exchange_url,
            )
            async with running_site(setup, listening) as agent:
                running = asyncio.create_task(agent.run())
                another = asyncio.create_task(tokens.another())
                try:
                    await asyncio.wait([running, another], return_when=asyncio.FIRST_COMPLETED)
                finally:
                    await _ended(running, another)
            _log.info("token_found", site=site.name)
            listening = _bind(site)


async def _ended(running: asyncio.Task[None], another: asyncio.Task[None]) -> None:
    """End both. Raises what ended the agent."""
    another.cancel()
    running.cancel()
    await asyncio.gather(another, return_exceptions=True)
    with suppress(asyncio.CancelledError):
        await running


@asynccontextmanager
async def _open_pool(
    configuration: Configuration, site: SiteSection, lakes: Sequence[Lake], places: Places
) -> AsyncIterator[tuple[Pool, PythonHost | None]]:
    """The pool of the site's backend and, where there are containers, what runs Python jobs; neither is started."""
    shape = _shape(site, lakes, places)
    if site.pool.backend == "local":
        yield LocalPool(shape, places.home / "pool"), None
        return
    async with LauncherClient(launcher_socket(configuration, site.name)) as launcher:
        around = Neighbourhood(places.home, launcher, boot=secrets.token_hex(8))
        reserved = ClusterShape(workers=site.python.workers, memory_bytes=site.python.memory)
        python = DockerPythonHost(around, reserved, site.python.reserve, lambda: datetime.now(UTC))
        yield DockerPool(shape, around, [lake.name for lake in lakes]), python


def _shape(site: SiteSection, lakes: Sequence[Lake], places: Places) -> PoolShape:
    return PoolShape(
        workers=site.pool.most_workers,
        least=site.pool.least_workers,
        threads=site.pool.threads,
        memory_bytes=site.pool.memory,
        readable=[str(lake.root) for lake in lakes],
        scratch=str(places.scratch),
    )
