"""Run a gateway until it is told to stop."""

from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import structlog

from datacanal.configuration import Configuration, GatewaySection
from datacanal.gateway.access import AccessRecord
from datacanal.gateway.access_tokens import access_tokens_of
from datacanal.gateway.account.app import account_app
from datacanal.gateway.account.services import Services
from datacanal.gateway.app import Gateway, Known
from datacanal.gateway.bearers import Bearers
from datacanal.gateway.callers import Callers
from datacanal.gateway.data import DataRoute
from datacanal.gateway.entitlements import Entitlements
from datacanal.gateway.estimating import Estimates
from datacanal.gateway.executions import Executions
from datacanal.gateway.finding import Finder
from datacanal.gateway.naming import Names
from datacanal.gateway.notifying import Notifier
from datacanal.gateway.offers import Offers
from datacanal.gateway.pages import Pages
from datacanal.gateway.posting import Poster
from datacanal.gateway.producing import Kitchen
from datacanal.gateway.quotes import Quotes
from datacanal.gateway.sign_in.assembly import sign_in_by
from datacanal.gateway.signing import cursor_secret
from datacanal.gateway.till import Till
from datacanal.gateway.watching import Views
from datacanal.gateway.webhook_signing import WebhookSecrets
from datacanal.ledger.directory import Directory
from datacanal.ledger.keys import pepper_of
from datacanal.ledger.margins import rates_of
from datacanal.ledger.meter import Meter
from datacanal.ledger.store import LedgerStore, open_ledger
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
    with _scratch(home) as scratch:
        async with _over(home, scratch, section, views, now) as gateway:
            yield gateway


@asynccontextmanager
async def _over(
    home: Path, scratch: Path, section: GatewaySection, views: Views, now: Callable[[], datetime]
) -> AsyncIterator[Gateway]:
    reading = {"memory_bytes": section.memory // 2, "cache_bytes": section.memory // 4, "threads": section.threads}
    readers = Readers(section.store, scratch, **reading)
    cursors, access = Cursors(cursor_secret(home)), AccessRecord(home)
    kitchen, finder = Kitchen(readers, cursors, scratch), Finder(cursors, now)
    executions = Executions(kitchen.produce, threads=section.threads, timeout_s=section.query_timeout_s)
    name, tokens = Names(now).new, access_tokens_of(home)
    sign_in = sign_in_by(section.sign_in, tokens, now) if section.sign_in else None
    try:
        async with _book(home, views.database, name, now) as (store, directory, meter):
            data = DataRoute(Pages(executions, section.cache), finder, access, Till(meter, name))
            entitlements = Entitlements(store, now)
            bearers = Bearers(directory, pepper_of(home), tokens)
            newest, rates = partial(_newest, views, directory), rates_of(section.costs)
            services = Services(store, lambda: views.view, now, name, home, bearers, tokens, newest, sign_in, rates)
            yield Gateway(
                views=lambda: views.view,
                known=lambda: (views.view.number, directory.number),
                catch_up=partial(_catch_up, views, directory),
                looked_at=lambda: views.looked_at,
                callers=Callers(directory, bearers),
                data=data,
                estimates=Estimates(finder.by_pairs, kitchen, executions, entitlements, Quotes(store, now)),
                entitlements=entitlements,
                offers=Offers(store),
                now=now,
                name=name,
                account=account_app(services),
            )
    finally:
        executions.close()
        readers.close()
        access.close()
        views.close()


@asynccontextmanager
async def _book(
    home: Path, database: str, name: Callable[[str], str], now: Callable[[], datetime]
) -> AsyncIterator[tuple[LedgerStore, Directory, Meter]]:
    """The book, who may call by it, and the meter of this process; closed in the order that lets calls be settled."""
    store = await asyncio.to_thread(open_ledger, home, database)
    directory, meter = Directory(store), Meter(store, name("gtw"), now)
    notifying = asyncio.create_task(Notifier(store, WebhookSecrets(home), Poster(), now).run())
    try:
        await asyncio.to_thread(directory.open)
        await meter.start()
        yield store, directory, meter
    finally:
        notifying.cancel()
        await asyncio.gather(notifying, return_exceptions=True)
        await meter.close()
        directory.close()
        store.close()


async def _catch_up(views: Views, directory: Directory, before: Known) -> bool:
    """Asked before somebody is refused: a token, key or subscription that was made a moment ago is good."""
    view, entries = before
    found = await asyncio.gather(views.catch_up(view), directory.catch_up(entries))
    return any(found)


async def _newest(views: Views, directory: Directory) -> None:
    await _catch_up(views, directory, (views.view.number, directory.number))


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
