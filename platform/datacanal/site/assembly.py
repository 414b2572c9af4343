"""Put a site together: store, lakes, gate, exchange and agent, opened in order and closed in the reverse one."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime

import duckdb
import structlog

from datacanal.configuration import LimitsSection
from datacanal.domain.errors import DatacanalError, PythonNeedsContainers
from datacanal.domain.ids import RANDOM_BYTES, new_id
from datacanal.planning.functions import functions_digest
from datacanal.serving.runner import address_of
from datacanal.site.agent import Agent, Identity, Parts, hello
from datacanal.site.approvals import Approvals
from datacanal.site.attempts import Attempts
from datacanal.site.authorities import Authorities
from datacanal.site.consent_desk import ConsentDesk
from datacanal.site.consents import ConsentGate
from datacanal.site.control_link import ControlLink
from datacanal.site.exchange import Handout
from datacanal.site.fetcher import Fetcher
from datacanal.site.fleet.port import Pool
from datacanal.site.fleet.python_host import PythonHost
from datacanal.site.gate.passing import EgressGate
from datacanal.site.image_watch import ImageWatch
from datacanal.site.joining import PublicDoor, Tokens
from datacanal.site.keys import SiteKeys
from datacanal.site.lakes.reading import LakeReader
from datacanal.site.lakes.registry import Lake, LakeRegistry
from datacanal.site.lakes.telling import Telling
from datacanal.site.places import Places
from datacanal.site.policy.book import PolicyBook, PolicyVersions
from datacanal.site.policy.governed import Governance
from datacanal.site.policy.mask_keys import MaskKeys
from datacanal.site.product_watch import ProductWatch
from datacanal.site.python_runs import PythonRuns
from datacanal.site.python_steps import PythonSteps
from datacanal.site.record.approvals import RecordedPins, RecordedVersions
from datacanal.site.record.book import RecordBook, open_record
from datacanal.site.relaying import RelayAsker, RelayServer
from datacanal.site.results import ResultDesk
from datacanal.site.runner import StepRunner
from datacanal.site.session import Session
from datacanal.site.step_datasets import Datasets
from datacanal.site.store.approvals import ApprovalStore
from datacanal.site.store.catalogue import CatalogueStore
from datacanal.site.store.database import open_database
from datacanal.site.store.egress import EgressBook
from datacanal.site.store.entity_sets import EntityLog
from datacanal.site.store.fences import FenceBook, NonceBook
from datacanal.site.store.policies import PolicyStore
from datacanal.site.store.work import WorkStore
from datacanal.site.sweeper import Sweeper
from datacanal.site.tickets import NONCE_EXPIRY_S
from datacanal.site.transport import Transport, exchange_url, open_exchange, open_transport
from datacanal.site.verifier import Site, StepVerifier
from datacanal.site.words.desk import WordsDesk
from datacanal.site.words.gate import WordsGate

_log = structlog.get_logger()


@dataclass(frozen=True)
class SiteSetup:
    """What a site is made from. `exchange_url` is what other sites call, where that is not what it listens on.

    `python` is None where there are no containers to hold a function in.
    """

    name: str
    control: PublicDoor
    lakes: tuple[Lake, ...]
    places: Places
    tokens: Tokens
    pool: Pool
    python: PythonHost | None
    limits: LimitsSection
    exchange_url: str | None = None


@asynccontextmanager
async def running_site(setup: SiteSetup, listening: socket.socket) -> AsyncIterator[Agent]:
    """An agent that is ready to run, its exchange answering on the socket; on leaving everything is stopped.

    A site that has not joined yet joins first. Raises what `ensure_joined` does.
    """
    setup.places.ensure()
    async with AsyncExitStack() as closing:
        engine = await asyncio.to_thread(open_database, setup.places.database)
        closing.callback(engine.dispose)
        await closing.enter_async_context(_warming(setup.pool, setup.python))
        work = WorkStore(engine)
        transport = await closing.enter_async_context(
            open_transport(setup.places.home, setup.name, setup.control, setup.tokens)
        )
        record = await asyncio.to_thread(open_record, engine, setup.name, transport.identity.keys, setup.places.home)
        pins = RecordedPins(record, lambda: int(_now_s() * 1000))
        await asyncio.to_thread(transport.peers.watch, pins.note)
        nonces = NonceBook(engine, NONCE_EXPIRY_S)
        seal = transport.identity.keys.seal
        handout = Handout(setup.name, seal, transport.peers, work.output, _now_s, nonces.use, record.add)
        await closing.enter_async_context(open_exchange(transport, handout, listening))
        readers = (LakeReader(), LakeReader())
        for reader in readers:
            closing.callback(reader.close)
        stores = _Stores(
            catalogue=CatalogueStore(engine),
            policies=RecordedVersions(PolicyStore(engine), record),
            work=work,
            record=record,
            egress=EgressBook(engine, record),
            log=EntityLog(engine),
            fences=FenceBook(engine),
            approvals=ApprovalStore(engine),
        )
        url = exchange_url(listening, setup.exchange_url)
        agent = Agent(_parts(setup, url, transport, handout, stores, readers))
        _log.info("site_ready", site=setup.name, exchange=address_of(listening))
        closing.callback(_log.info, "site_stopping", site=setup.name)
        yield agent


@dataclass(frozen=True)
class _Stores:
    catalogue: CatalogueStore
    policies: PolicyVersions
    work: WorkStore
    record: RecordBook
    egress: EgressBook
    log: EntityLog
    fences: FenceBook
    approvals: ApprovalStore


def _parts(
    setup: SiteSetup,
    url: str,
    transport: Transport,
    handout: Handout,
    stores: _Stores,
    readers: tuple[LakeReader, LakeReader],
) -> Parts:
    site = Site(setup.name, duckdb.__version__, functions_digest(), frozenset(lake.name for lake in setup.lakes))
    book = _policy_book(setup, stores.policies)
    telling = Telling(book, Governance(MaskKeys(setup.places.mask_keys, os.urandom).of))
    lakes = LakeRegistry(setup.lakes, readers[0], stores.catalogue, telling, _now)
    boot = new_id("boot", _now(), os.urandom(RANDOM_BYTES))
    # The key is what stays the same over restarts of this home: the agent is named after it.
    keys = transport.identity.keys
    identity = Identity(keys.public, boot, keys.public, url)
    changed = asyncio.Event()
    link = transport.link
    image = ImageWatch(setup.python)
    session = Session(link, lambda: hello(site, identity, setup.pool.slots, lakes, image.environment), changed)
    asker = RelayAsker(link, session.id, transport.peers, keys, _now_s, os.urandom)
    datasets = Datasets(site.name, site.lakes, lakes.snapshot, book, lakes.shown)
    verifier = _verifier(site, transport, stores, datasets, _python_steps(setup, datasets, stores))
    gate = EgressGate(setup.name, book, stores.egress, stores.log)
    runner = _runner(
        setup, verifier, keys, url, gate, Fetcher(transport.links, asker, keys, _now_s), lakes, stores.work
    )
    return Parts(
        site=site,
        identity=identity,
        link=link,
        session=session,
        pool=setup.pool,
        image=image,
        lakes=lakes,
        products=ProductWatch(link, lakes, book, lakes.product_lake),
        sketcher=readers[1],
        attempts=Attempts(runner, setup.pool, link, session, stores.work, stores.record, _now),
        results=_result_desk(setup, link, verifier.authorities, stores),
        relays=RelayServer(handout, link, keys, os.urandom),
        consents=ConsentDesk(_consent_gate(site, verifier.authorities, book, stores), link),
        words=WordsDesk(_words_gate(site, verifier.authorities, book, stores), link),
        sweeper=Sweeper(setup.places, stores.work, _now, setup.limits.total_timeout_s),
        snapshots=stores.catalogue,
        changed=changed,
        now_ms=lambda: int(_now().timestamp() * 1000),
        snapshot_expiry_s=setup.limits.total_timeout_s,
    )


def _runner(
    setup: SiteSetup,
    verifier: StepVerifier,
    keys: SiteKeys,
    url: str,
    gate: EgressGate,
    fetcher: Fetcher,
    lakes: LakeRegistry,
    work: WorkStore,
) -> StepRunner:
    return StepRunner(
        site=verifier.site,
        verifier=verifier,
        keys=keys,
        exchange_url=url,
        places=setup.places,
        lakes=lakes,
        work=work,
        gate=gate,
        fetcher=fetcher,
        pool=setup.pool,
        python=PythonRuns(setup.name, setup.python, lambda: lakes.roots),
        clock=_now,
        new_id=lambda prefix: new_id(prefix, _now(), os.urandom(RANDOM_BYTES)),
        transfer_expiry_s=setup.limits.total_timeout_s,
    )


def _result_desk(setup: SiteSetup, link: ControlLink, authorities: Authorities, stores: _Stores) -> ResultDesk:
    return ResultDesk(setup.name, setup.pool, link, stores.work, setup.places, authorities, stores.record.add, _now)


def _python_steps(setup: SiteSetup, datasets: Datasets, stores: _Stores) -> PythonSteps:
    loop, host = asyncio.get_running_loop(), setup.python

    def image(named: str | None) -> str:
        """Steps are verified in threads of their own."""
        if host is None:
            raise PythonNeedsContainers(site=setup.name)
        return asyncio.run_coroutine_threadsafe(host.image(named), loop).result().id

    return PythonSteps(setup.name, datasets, Approvals(setup.name, stores.approvals, _now), image, _now)


def _verifier(
    site: Site, transport: Transport, stores: _Stores, datasets: Datasets, python: PythonSteps
) -> StepVerifier:
    return StepVerifier(
        site=site,
        authorities=Authorities(site.name, lambda: transport.member.issuer, _now),
        datasets=datasets,
        python=python,
        pins=transport.peers,
        outputs=stores.work,
        fences=stores.fences,
        record=stores.record.add,
        clock=_now,
    )


def _words_gate(site: Site, authorities: Authorities, book: PolicyBook, stores: _Stores) -> WordsGate:
    return WordsGate(
        site=site.name,
        authorities=authorities,
        policy_of=lambda lake: book.current(lake) if lake in site.lakes else None,
        work=stores.work,
        egress=stores.egress,
        record=stores.record,
        clock=_now,
    )


def _consent_gate(site: Site, authorities: Authorities, book: PolicyBook, stores: _Stores) -> ConsentGate:
    return ConsentGate(
        site=site.name,
        lakes=site.lakes,
        authorities=authorities,
        policy_of=book.current,
        approvals=Approvals(site.name, stores.approvals, _now),
        record=stores.record.add,
        clock=_now,
    )


def _policy_book(setup: SiteSetup, store: PolicyVersions) -> PolicyBook:
    policies = {lake.name: lake.policy for lake in setup.lakes}
    files = {lake.name: lake.policy_file for lake in setup.lakes if lake.policy_file is not None}
    return PolicyBook(policies, files, store, _now, setup.limits.total_timeout_s)


def _now() -> datetime:
    return datetime.now(UTC)


def _now_s() -> float:
    return _now().timestamp()


@asynccontextmanager
async def _warming(pool: Pool, python: PythonHost | None) -> AsyncIterator[None]:
    """The pool comes up while the rest does; whoever runs the agent sees what keeps it from that."""

    async def warm() -> None:
        with suppress(DatacanalError):
            await pool.ensure_started()
        if python is not None:
            await python.ensure_started()

    beginning = asyncio.create_task(warm())
    try:
        yield
    finally:
        beginning.cancel()
        await asyncio.gather(beginning, return_exceptions=True)
        if python is not None:
            await python.ensure_stopped()
        await pool.ensure_stopped()
