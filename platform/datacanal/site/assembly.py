"""Put a site together: store, lakes, gate, exchange and agent, opened in order and closed in the reverse one."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

import duckdb
import httpx
import structlog

from datacanal.configuration import LimitsSection
from datacanal.domain.ids import RANDOM_BYTES, new_id
from datacanal.planning.functions import functions_digest
from datacanal.serving.runner import HttpServer, address_of
from datacanal.site.agent import Agent, Identity, Parts, hello
from datacanal.site.attempts import Attempts
from datacanal.site.checks import Site
from datacanal.site.control_link import ControlLink
from datacanal.site.exchange import create_exchange
from datacanal.site.fetcher import Fetcher
from datacanal.site.fleet.port import Pool
from datacanal.site.gate.passing import EgressGate
from datacanal.site.keys import SiteKeys, load_keys
from datacanal.site.lakes.reading import LakeReader
from datacanal.site.lakes.registry import Lake, LakeRegistry
from datacanal.site.lakes.telling import Telling
from datacanal.site.places import Places
from datacanal.site.policy.book import PolicyBook
from datacanal.site.policy.governed import Governance
from datacanal.site.policy.mask_keys import MaskKeys
from datacanal.site.record.book import RecordBook, open_record
from datacanal.site.results import ResultDesk
from datacanal.site.runner import StepRunner
from datacanal.site.session import Session
from datacanal.site.store.catalogue import CatalogueStore
from datacanal.site.store.database import open_database
from datacanal.site.store.egress import EgressBook
from datacanal.site.store.fences import NonceBook
from datacanal.site.store.policies import PolicyStore
from datacanal.site.store.work import WorkStore
from datacanal.site.sweeper import Sweeper
from datacanal.site.tickets import NONCE_EXPIRY_S

_KEEP_ALIVE_S = 60
_log = structlog.get_logger()


@dataclass(frozen=True)
class SiteSetup:
    """What a site is made from. `token` is asked before every call, as the control plane may renew it."""

    name: str
    control_url: str
    lakes: tuple[Lake, ...]
    places: Places
    token: Callable[[], str]
    pool: Pool
    limits: LimitsSection


@asynccontextmanager
async def running_site(setup: SiteSetup, listening: socket.socket) -> AsyncIterator[Agent]:
    """An agent that is ready to run, its exchange answering on the socket; on leaving everything is stopped."""
    setup.places.ensure()
    async with AsyncExitStack() as closing:
        engine = await asyncio.to_thread(open_database, setup.places.database)
        closing.callback(engine.dispose)
        closing.push_async_callback(setup.pool.ensure_stopped)
        client = await closing.enter_async_context(_http_client())
        work = WorkStore(engine)
        keys = load_keys(setup.places.home, os.urandom)
        record = await asyncio.to_thread(open_record, engine, setup.name, keys, setup.places.home)
        nonces = NonceBook(engine, NONCE_EXPIRY_S)
        exchange = create_exchange(
            setup.name, keys.seal, work.output, lambda: _now().timestamp(), nonces.use, record.add
        )
        server = HttpServer(exchange, listening)
        await server.start()
        closing.push_async_callback(server.stop)
        readers = (LakeReader(), LakeReader())
        for reader in readers:
            closing.callback(reader.close)
        stores = _Stores(CatalogueStore(engine), PolicyStore(engine), work, record, EgressBook(engine, record))
        agent = Agent(_parts(setup, f"http://{address_of(listening)}", keys, client, stores, readers))
        _log.info("site_ready", site=setup.name, exchange=address_of(listening))
        closing.callback(_log.info, "site_stopping", site=setup.name)
        yield agent


@dataclass(frozen=True)
class _Stores:
    catalogue: CatalogueStore
    policies: PolicyStore
    work: WorkStore
    record: RecordBook
    egress: EgressBook


def _parts(
    setup: SiteSetup,
    exchange_url: str,
    keys: SiteKeys,
    client: httpx.AsyncClient,
    stores: _Stores,
    readers: tuple[LakeReader, LakeReader],
) -> Parts:
    site = Site(setup.name, duckdb.__version__, functions_digest(), frozenset(lake.name for lake in setup.lakes))
    book = _policy_book(setup, stores.policies)
    telling = Telling(book, Governance(MaskKeys(setup.places.mask_keys, os.urandom).of))
    lakes = LakeRegistry(setup.lakes, readers[0], stores.catalogue, telling, _now)
    boot = new_id("boot", _now(), os.urandom(RANDOM_BYTES))
    # The key is what stays the same over restarts of this home: the agent is named after it.
    identity = Identity(keys.public, boot, keys.public, exchange_url)
    changed = asyncio.Event()
    link = ControlLink(client, setup.control_url, setup.token)
    session = Session(link, lambda: hello(site, identity, setup.pool.slots, lakes), changed)
    runner = StepRunner(
        site=site,
        keys=keys,
        exchange_url=exchange_url,
        places=setup.places,
        lakes=lakes,
        work=stores.work,
        gate=EgressGate(setup.name, {lake.name: lake.policy for lake in setup.lakes}, stores.egress),
        fetcher=Fetcher(client, keys, lambda: _now().timestamp()),
        pool=setup.pool,
        clock=_now,
        new_id=lambda prefix: new_id(prefix, _now(), os.urandom(RANDOM_BYTES)),
        transfer_expiry_s=setup.limits.total_timeout_s,
    )
    return Parts(
        site=site,
        identity=identity,
        link=link,
        session=session,
        pool=setup.pool,
        lakes=lakes,
        sketcher=readers[1],
        attempts=Attempts(runner, setup.pool, link, session, stores.work, stores.record, _now),
        results=ResultDesk(setup.name, setup.pool, link, stores.work, setup.places, _now),
        sweeper=Sweeper(setup.places, stores.work, _now, setup.limits.total_timeout_s),
        snapshots=stores.catalogue,
        changed=changed,
        now_ms=lambda: int(_now().timestamp() * 1000),
        snapshot_expiry_s=setup.limits.total_timeout_s,
    )


def _policy_book(setup: SiteSetup, store: PolicyStore) -> PolicyBook:
    policies = {lake.name: lake.policy for lake in setup.lakes}
    files = {lake.name: lake.policy_file for lake in setup.lakes if lake.policy_file is not None}
    return PolicyBook(policies, files, store, _now, setup.limits.total_timeout_s)


def _http_client() -> httpx.AsyncClient:
    """Keeps connections, so that a report costs no handshake; proxies of the environment are not for our traffic."""
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=64, keepalive_expiry=_KEEP_ALIVE_S)
    return httpx.AsyncClient(limits=limits, trust_env=False)


def _now() -> datetime:
    return datetime.now(UTC)
