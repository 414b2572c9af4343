"""Run a gateway until it is told to stop."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import structlog

from datacanal.configuration import Configuration, GatewaySection
from datacanal.gateway.access import AccessRecord
from datacanal.gateway.app import Gateway
from datacanal.gateway.data import DataRoute
from datacanal.gateway.estimating import Estimates
from datacanal.gateway.executions import Executions
from datacanal.gateway.finding import Finder
from datacanal.gateway.pages import Pages
from datacanal.gateway.producing import Kitchen
from datacanal.gateway.signing import cursor_secret
from datacanal.gateway.watching import Views
from datacanal.products.cursor import Cursors
from datacanal.products.reading import Readers
from datacanal.serving.doors import public_tls
from datacanal.serving.runner import HttpServer, address_of, bind, stop_asked

_KEY = "gateway"
_log = structlog.get_logger()


def serve_gateway(configuration: Configuration, section: GatewaySection) -> None:
    """Serve until SIGTERM or SIGINT, then stop within 5 s. Raises `PortInUse` before anything was changed."""
    asyncio.run(_serve(configuration, section))


async def _serve(configuration: Configuration, section: GatewaySection) -> None:
    stop = stop_asked()
    listening = bind(section.listen, key="gateway.listen")
    configuration.home.mkdir(mode=0o700, parents=True, exist_ok=True)
    views = Views(configuration.home)
    opening = asyncio.ensure_future(asyncio.to_thread(views.open))
    await asyncio.wait({opening, asyncio.ensure_future(stop.wait())}, return_when=asyncio.FIRST_COMPLETED)
    if stop.is_set():
        views.close()
    if await opening:
        tls = public_tls(section, configuration.home, _KEY)
        async with running_gateway(configuration.home, section, views) as gateway:
            server = HttpServer(gateway, listening, tls)
            await server.start()
            _log.info("gateway_ready", address=address_of(listening))
            await stop.wait()
            _log.info("gateway_stopping")
            await server.stop()
    listening.close()


@asynccontextmanager
async def running_gateway(
    home: Path, section: GatewaySection, views: Views, now: Callable[[], datetime] = lambda: datetime.now(UTC)
) -> AsyncIterator[Gateway]:
    """A gateway over views that are open; all of it is closed with the block."""
    section.store.mkdir(mode=0o750, parents=True, exist_ok=True)
    scratch = _scratch(home)
    reading = {"memory_bytes": section.memory // 2, "cache_bytes": section.memory // 4, "threads": section.threads}
    readers = Readers(section.store, scratch, **reading)
    cursors, access = Cursors(cursor_secret(home)), AccessRecord(home)
    kitchen, finder = Kitchen(readers, cursors, scratch), Finder(cursors, now)
    executions = Executions(kitchen.produce, threads=section.threads, timeout_s=section.query_timeout_s)
    data = DataRoute(Pages(executions, section.cache), finder, access)
    estimates = Estimates(finder.by_pairs, kitchen, executions)
    try:
        yield Gateway(lambda: views.view, lambda: views.looked_at, data, estimates, now)
    finally:
        executions.close()
        readers.close()
        access.close()
        views.close()
        shutil.rmtree(scratch, ignore_errors=True)


def _scratch(home: Path) -> Path:
    """A folder of this process alone, to spill and to write files in that are sent whole."""
    parent = home / "gateway" / "scratch"
    parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(dir=parent))
