"""Run a gateway until it is told to stop."""

from __future__ import annotations

import asyncio
import fcntl
import gc
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import structlog

from datacanal.configuration import Configuration, GatewaySection
from datacanal.gateway.app import Gateway
from datacanal.gateway.assembly import assembled
from datacanal.gateway.watching import Views
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
    views = Views(configuration.home, configuration.control.database)
    opening = asyncio.ensure_future(asyncio.to_thread(views.open))
    await asyncio.wait({opening, asyncio.ensure_future(stop.wait())}, return_when=asyncio.FIRST_COMPLETED)
    if stop.is_set():
        views.close()
    if await opening:
        tls = public_tls(section, configuration.home, _KEY)
        async with running_gateway(configuration.home, section, views) as gateway:
            server = HttpServer(gateway, listening, tls)
            await server.start()
            _spare_collector()
            _log.info("gateway_ready", address=address_of(listening))
            await stop.wait()
            _log.info("gateway_stopping")
            await server.stop()
    listening.close()


def _spare_collector() -> None:
    """What is there by now stays: looking for garbage in it would hold up all calls, for a quarter of a second each."""
    gc.collect()
    gc.freeze()


@asynccontextmanager
async def running_gateway(
    home: Path, section: GatewaySection, views: Views, now: Callable[[], datetime] = lambda: datetime.now(UTC)
) -> AsyncIterator[Gateway]:
    """A gateway over views that are open; all of it is closed with the block."""
    section.store.mkdir(mode=0o750, parents=True, exist_ok=True)
    with _scratch(home) as scratch:
        async with assembled(home, scratch, section, views, now) as gateway:
            yield gateway


@contextmanager
def _scratch(home: Path) -> Iterator[Path]:
    """A folder of this process alone, to spill and to write files in that are sent whole.

    It is locked for as long as the process lives; those of processes that were killed are removed.
    """
    parent = home / "gateway" / "scratch"
    parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (parent / "lock").open("a") as alone:
        fcntl.flock(alone, fcntl.LOCK_EX)
        _remove_abandoned(parent)
        folder = Path(tempfile.mkdtemp(dir=parent))
        held = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
        fcntl.flock(held, fcntl.LOCK_EX)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(held)


def _remove_abandoned(parent: Path) -> None:
    for folder in parent.iterdir():
        if folder.is_dir():
            held = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
            except BlockingIOError:
                continue
            finally:
                os.close(held)
