"""A gateway of its parts: what reads, what charges, what seals, what tells."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from functools import partial
from pathlib import Path

from datacanal.configuration import GatewaySection
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
from datacanal.ledger.sealing import Sequencer
from datacanal.ledger.sealing_turns import turn_for
from datacanal.ledger.signing import ledger_key
from datacanal.ledger.store import LedgerStore, open_ledger
from datacanal.products.cursor import Cursors
from datacanal.products.reading import Readers


@asynccontextmanager
async def assembled(
    home: Path, scratch: Path, section: GatewaySection, views: Views, now: Callable[[], datetime]
) -> AsyncIterator[Gateway]:
    """A gateway of its parts, which are closed with the block in the order that lets calls be settled."""
    reading = {"memory_bytes": section.memory // 2, "cache_bytes": section.memory // 4, "threads": section.threads}
    readers = Readers(section.store, scratch, **reading)
    cursors, access = Cursors(cursor_secret(home)), AccessRecord(home)
    kitchen, finder = Kitchen(readers, cursors, scratch), Finder(cursors, now)
    executions = Executions(kitchen.produce, threads=section.threads, timeout_s=section.query_timeout_s)
    name, tokens = Names(now).new, access_tokens_of(home)
    sign_in = sign_in_by(section.sign_in, tokens, now) if section.sign_in else None
    try:
        async with (
            _book(home, views.database, name, now) as (store, directory, meter),
            _sealing(home, views.database, section.checkpoints_of(home), store, now) as sequencer,
            _notifying(home, store, now),
        ):
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
                offers=Offers(directory),
                now=now,
                name=name,
                account=account_app(services),
                not_sealed=lambda: sequencer.problem,
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
    try:
        await asyncio.to_thread(directory.open)
        await meter.start()
        yield store, directory, meter
    finally:
        await meter.close()
        directory.close()
        store.close()


@asynccontextmanager
async def _sealing(
    home: Path, database: str, copy: Path, store: LedgerStore, now: Callable[[], datetime]
) -> AsyncIterator[Sequencer]:
    """The ledger is sealed within the block, by this gateway or another."""
    turn = turn_for(store, home, database)
    sequencer = Sequencer(store, ledger_key(home), copy, turn, now)
    sequencer.start()
    try:
        yield sequencer
    finally:
        await asyncio.to_thread(sequencer.close)


@asynccontextmanager
async def _notifying(home: Path, store: LedgerStore, now: Callable[[], datetime]) -> AsyncIterator[None]:
    """Accounts are told of their quotas, within the block."""
    notifying = asyncio.create_task(Notifier(store, WebhookSecrets(home), Poster(), now).run())
    try:
        yield
    finally:
        notifying.cancel()
        await asyncio.gather(notifying, return_exceptions=True)


async def _catch_up(views: Views, directory: Directory, before: Known) -> bool:
    """Asked before somebody is refused: a token, key or subscription that was made a moment ago is good."""
    view, entries = before
    found = await asyncio.gather(views.catch_up(view), directory.catch_up(entries))
    return any(found)


async def _newest(views: Views, directory: Directory) -> None:
    await _catch_up(views, directory, (views.view.number, directory.number))
