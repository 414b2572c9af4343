"""Run a control plane until it is told to stop."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial

import structlog

from datacanal.configuration import Configuration
from datacanal.control.api.app import build_app, build_site_app
from datacanal.control.binders import BinderPool
from datacanal.control.catalogue import remember_sites
from datacanal.control.clock import Clock, SystemClock
from datacanal.control.compiling import StatementCompiler
from datacanal.control.doors import bind_site_door, door_url, load_site_door
from datacanal.control.first_tokens import ensure_first_tokens
from datacanal.control.identity import load_issuer
from datacanal.control.metering import JobMeter
from datacanal.control.plane import Plane, build_plane
from datacanal.control.planner import Compiler
from datacanal.control.products.assembly import ProductPlaces
from datacanal.control.products.ports import Workshop
from datacanal.control.store.opening import Store, open_store
from datacanal.control.tokens import TENANT
from datacanal.homes import only_one
from datacanal.ledger.store import open_ledger
from datacanal.planning.rules import Rules
from datacanal.products.builder import Builder
from datacanal.products.requests import recent_queries
from datacanal.serving.doors import public_tls
from datacanal.serving.handlers import failure_fields
from datacanal.serving.runner import HttpServer, address_of, bind, stop_asked
from datacanal.serving.tls import mutual_server

_RESTART_PAUSE_S = 1.0
_BUILDER_BYTES = 2**30
"""Of memory, for the process that builds a snapshot; it spills what does not fit."""
_log = structlog.get_logger()


def serve_control(configuration: Configuration) -> None:
    """Serve until SIGTERM or SIGINT, then stop within 5 s.

    Raises `AlreadyRunning` and `PortInUse` before anything was changed.
    """
    with only_one(configuration.home, "control.lock"):
        binders = BinderPool()
        try:
            asyncio.run(_serve(configuration, binders))
        finally:
            binders.stop()


async def _serve(configuration: Configuration, binders: BinderPool) -> None:
    stop = stop_asked()
    listening = bind(configuration.control.listen, key="control.listen")
    for_sites = bind_site_door(configuration.control, configuration.home)
    warming = asyncio.create_task(asyncio.to_thread(binders.start))
    clock = SystemClock()
    store = open_store(configuration.home, clock, configuration.control.database)
    await warming
    workshop = Builder(configuration.home / "products-scratch", _BUILDER_BYTES)
    workshop.clear()
    rules = Rules(subtrees=configuration.planning.subtrees, join_groups=configuration.planning.join_groups)
    async with (
        running_plane(configuration, store, clock, StatementCompiler(binders, rules), workshop) as plane,
        answering(plane, listening, for_sites, public_tls(configuration.control, configuration.home, "control")),
    ):
        _log.info("control_ready", address=address_of(listening), sites=address_of(for_sites))
        await stop.wait()
        _log.info("control_stopping")


@asynccontextmanager
async def answering(
    plane: Plane, listening: socket.socket, for_sites: socket.socket, tls: ssl.SSLContext | None
) -> AsyncIterator[None]:
    """Both doors answer; on leaving, first everybody who waits, then they close."""
    public = HttpServer(build_app(plane, lambda asked_at: door_url(for_sites, asked_at)), listening, tls)
    sites = HttpServer(build_site_app(plane), for_sites, mutual_server(plane.door.pair, plane.members.certificates))
    for server in (public, sites):
        await server.start()
    try:
        yield
    finally:
        plane.begin_closing()
        await asyncio.gather(public.stop(), sites.stop())


@asynccontextmanager
async def running_plane(
    configuration: Configuration, store: Store, clock: Clock, compiler: Compiler, workshop: Workshop
) -> AsyncIterator[Plane]:
    """A plane whose dispatcher, sweeper, publisher, schedules and meter run; closed with the block."""
    sites = tuple(site.name for site in configuration.sites)
    issuer = load_issuer(configuration.home, os.urandom)
    door = load_site_door(configuration.home)
    recent = partial(recent_queries, configuration.home)
    places = ProductPlaces(configuration.products_store, configuration.home / "products-staging", workshop, recent)
    plane = build_plane(store, clock, configuration.limits, sites, compiler, issuer, door, places)
    plane.members.load()
    ensure_first_tokens(plane.desk, configuration, plane.members, door.fingerprint)
    plane.desk.write_now(lambda change: remember_sites(change, TENANT, sites))
    plane.load()
    products = plane.products
    ledger = await asyncio.to_thread(open_ledger, configuration.home, configuration.control.database)
    parts = (
        plane.dispatcher.run,
        plane.coordinator.run,
        products.publisher.run,
        products.shelves.run,
        plane.schedules.keeper.run,
        JobMeter(plane.desk, ledger).run,
    )
    tasks = [asyncio.create_task(_for_ever(part)) for part in parts]
    try:
        yield plane
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await plane.close()
        ledger.close()


async def _for_ever(part: Callable[[], Awaitable[None]]) -> None:
    """Run a part that must not end; start it again where a failure that nobody foresaw ended it."""
    while True:
        try:
            await part()
        except Exception as error:
            _log.error("part_broke", **failure_fields(error))
            await asyncio.sleep(_RESTART_PAUSE_S)
