"""The agent of one site: says hello, reports its lakes, takes work, and does what the control plane asks.

One event loop; whatever blocks runs in threads, whatever computes runs in the pool.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass

import structlog

from datacanal.domain.errors import DatacanalError
from datacanal.protocol.plan import PLAN_FORMAT, PythonEnvironment
from datacanal.protocol.site import (
    SITE_PROTOCOL,
    CatalogueReport,
    Command,
    ConsentCommand,
    DropCommand,
    Heartbeat,
    Hello,
    LogCommand,
    Poll,
    PollReply,
    RefreshCommand,
    RelayCommand,
    UploadCommand,
    Welcome,
)
from datacanal.site.attempts import Attempts
from datacanal.site.consent_desk import ConsentDesk
from datacanal.site.control_link import ControlLink
from datacanal.site.fleet.port import Pool
from datacanal.site.image_watch import ImageWatch
from datacanal.site.lakes.registry import LakeRegistry, Sketcher
from datacanal.site.product_watch import ProductWatch
from datacanal.site.relaying import RelayServer
from datacanal.site.results import ResultDesk
from datacanal.site.session import Session
from datacanal.site.store.catalogue import CatalogueStore
from datacanal.site.sweeper import Sweeper
from datacanal.site.verifier import Site
from datacanal.site.words.desk import WordsDesk

_WATCH_EVERY_S = 1.0
_WATCH_SHARE = 0.05
"""Of one processor, that watching the lakes may cost."""
_PRODUCTS_EVERY_S = 2.0
_SWEEP_EVERY_S = 60.0
_POOL_EVERY_S = 2.0
_BUSY_POLL_S = 0.25
"""How long a poll without free slots waits: it cannot learn that a slot came free meanwhile."""
_FREE_POLL_S = 20.0
_log = structlog.get_logger()


@dataclass(frozen=True)
class Identity:
    """Who says hello: `instance` stays the same over restarts, `boot` does not."""

    instance: str
    boot: str
    public_key: str
    exchange_url: str


@dataclass(frozen=True)
class Parts:
    """What an agent is put together from. `changed` is set where there is something new to report."""

    site: Site
    identity: Identity
    link: ControlLink
    session: Session
    pool: Pool
    image: ImageWatch
    lakes: LakeRegistry
    products: ProductWatch
    sketcher: Sketcher
    attempts: Attempts
    results: ResultDesk
    relays: RelayServer
    words: WordsDesk
    consents: ConsentDesk
    sweeper: Sweeper
    snapshots: CatalogueStore
    changed: asyncio.Event
    now_ms: Callable[[], int]
    snapshot_expiry_s: float


def hello(site: Site, identity: Identity, slots: int, lakes: LakeRegistry, python: PythonEnvironment | None) -> Hello:
    """The hello as things stand now."""
    return Hello(
        site=site.name,
        instance=identity.instance,
        boot=identity.boot,
        protocol=SITE_PROTOCOL,
        plan_formats=[PLAN_FORMAT],
        kernel=site.kernel,
        functions=site.functions,
        exchange=identity.exchange_url,
        public_key=identity.public_key,
        slots=slots,
        lakes=lakes.reports()[0],
        python=python,
    )


class Agent:
    """`run` until cancelled. `reported` is set once the control plane knows the site's datasets."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._pool_tried = False
        self._listed = asyncio.Event()
        self.reported = asyncio.Event()
        self._sketch_due = asyncio.Event()
        self._errands: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Serve until cancelled; then let go of the work at hand."""
        loops = (
            self._keep_pool,
            self._keep_image,
            self._keep_polling,
            self._keep_beating,
            self._keep_reporting,
            self._keep_watching,
            self._keep_policies,
            self._keep_products,
            self._keep_sketching,
            self._keep_sweeping,
        )
        try:
            async with asyncio.TaskGroup() as group:
                for loop in loops:
                    group.create_task(self._steadily(loop))
        finally:
            for errand in self._errands:
                errand.cancel()
            await self._parts.attempts.close()

    async def _steadily(self, loop: Callable[[], Awaitable[None]]) -> None:
        """No fault in one loop may end the agent: log it and go on."""
        while True:
            try:
                await loop()
                return
            except Exception as error:
                _log.exception("agent_loop_broke", loop=loop.__name__, error=type(error).__name__)
                await asyncio.sleep(_WATCH_EVERY_S)

    async def _keep_pool(self) -> None:
        """Bring the pool up, and again whenever it went down. One that cannot start tells each step why."""
        while True:
            try:
                await self._parts.pool.ensure_started()
            except DatacanalError as error:
                _log.warning("pool_not_started", code=error.code, detail=error.detail)
            self._pool_tried = True
            await asyncio.sleep(_POOL_EVERY_S)

    async def _keep_image(self) -> None:
        """Tell what functions find here once it is known, and whenever that is something else."""
        while True:
            if await self._parts.image.changed():
                self._parts.session.lost(await self._parts.session.current())
            await asyncio.sleep(_POOL_EVERY_S)

    async def _keep_polling(self) -> None:
        await self.reported.wait()
        while True:
            free = max(0, self._parts.pool.slots - len(self._parts.attempts)) if self._pool_tried else 0
            reply = await self._ask_for_work(free)
            await self._take(reply)

    async def _ask_for_work(self, free: int) -> PollReply:
        def poll(welcome: Welcome) -> Awaitable[PollReply]:
            wait_s = _FREE_POLL_S if free else _BUSY_POLL_S
            return self._parts.link.poll(Poll(session=welcome.session, free=free, wait_s=wait_s))

        return await self._parts.session.call("poll", poll)

    async def _take(self, reply: PollReply) -> None:
        for ref in reply.cancels:
            self._send(self._parts.attempts.stop(ref))
        for lease in reply.leases:
            self._parts.attempts.begin(lease)
        for command in reply.commands:
            self._send(self._obey(command))

    def _send(self, errand: Coroutine[object, object, None]) -> None:
        task = asyncio.create_task(errand)
        self._errands.add(task)
        task.add_done_callback(self._errands.discard)

    async def _obey(self, command: Command) -> None:
        match command:
            case UploadCommand():
                await self._parts.results.upload(command)
            case LogCommand():
                await self._parts.words.send(command)
            case ConsentCommand():
                await self._parts.consents.answer(command)
            case RelayCommand():
                await self._parts.relays.serve(command)
            case RefreshCommand():
                await asyncio.to_thread(self._parts.lakes.reload_policies)
                await self._parts.products.changed()
                await asyncio.to_thread(self._parts.lakes.refresh, command.lake, again=True)
                self._parts.changed.set()
            case DropCommand():
                await self._parts.attempts.stop_job(command.job)
                await asyncio.to_thread(self._parts.sweeper.drop, command.job)

    async def _keep_beating(self) -> None:
        await self.reported.wait()
        while True:
            welcome = await self._parts.session.current()
            await asyncio.sleep(welcome.heartbeat_s)
            reply = await self._parts.session.call(
                "heartbeat",
                lambda welcome: self._parts.link.heartbeat(
                    Heartbeat(session=welcome.session, steps=self._parts.attempts.progress())
                ),
            )
            for ref in reply.stop:
                self._send(self._parts.attempts.stop(ref))

    async def _keep_reporting(self) -> None:
        """Report whenever something changed, the session included; never before the lakes were listed once.

        All else waits for the first report, so that a site that shows up is not taken for an empty one.
        """
        await self._listed.wait()
        while True:
            await self._parts.changed.wait()
            self._parts.changed.clear()
            await self._parts.session.call("catalogue", self._report)
            self.reported.set()

    async def _report(self, welcome: Welcome) -> None:
        lakes, datasets = await asyncio.to_thread(self._parts.lakes.reports)
        await self._parts.link.report(CatalogueReport(session=welcome.session, datasets=datasets, lakes=lakes))

    async def _keep_watching(self) -> None:
        await self._parts.products.changed()  # else the first report would say that there are none
        while True:
            began_s = time.monotonic()
            if await asyncio.to_thread(self._parts.lakes.refresh) or not self._listed.is_set():
                self._listed.set()
                self._parts.changed.set()
                self._sketch_due.set()
            await asyncio.sleep(max(_WATCH_EVERY_S, (time.monotonic() - began_s) / _WATCH_SHARE))

    async def _keep_policies(self) -> None:
        """A change is in force within about a second, however long it takes to list the lakes."""
        while True:
            if await asyncio.to_thread(self._parts.lakes.reload_policies):
                self._parts.changed.set()
            await asyncio.sleep(_WATCH_EVERY_S)

    async def _keep_products(self) -> None:
        """A promotion is seen by the jobs that are planned a moment later."""
        while True:
            await asyncio.sleep(_PRODUCTS_EVERY_S)
            if await self._parts.products.changed():
                self._parts.changed.set()
                self._sketch_due.set()

    async def _keep_sketching(self) -> None:
        while True:
            await self._sketch_due.wait()
            self._sketch_due.clear()
            while await asyncio.to_thread(self._parts.lakes.sketch_one, self._parts.sketcher):
                self._parts.changed.set()

    async def _keep_sweeping(self) -> None:
        await asyncio.to_thread(self._parts.sweeper.empty_inputs)
        while True:
            await self._listed.wait()
            await asyncio.to_thread(self._parts.sweeper.sweep)
            await asyncio.to_thread(self._prune_snapshots)
            await asyncio.sleep(_SWEEP_EVERY_S)

    def _prune_snapshots(self) -> None:
        now_ms = self._parts.now_ms()
        expired_ms = now_ms - int(self._parts.snapshot_expiry_s * 1000)
        self._parts.snapshots.prune_snapshots(self._parts.lakes.current(), now_ms, expired_ms)
