"""The agents' counterpart: holds their long polls, hands out leases, takes their reports."""

from __future__ import annotations

import asyncio

import structlog

from datacanal.control.catalogue import CatalogueBook, remember_hello
from datacanal.control.changes import HEARTBEAT_S, LEASE_S, Change
from datacanal.control.commands import CommandBox
from datacanal.control.desk import Desk
from datacanal.control.leases import (
    Agent,
    Around,
    Terms,
    agent_of,
    finish,
    free_old_boot,
    heartbeat,
    start,
    take_drops,
    take_leases,
)
from datacanal.control.presence import Presence
from datacanal.control.signals import CATALOGUE, QUEUE, site_signal
from datacanal.control.sweeping import sweep
from datacanal.domain.access import Principal
from datacanal.domain.errors import Forbidden, KernelMismatch
from datacanal.protocol.plan import PLAN_FORMAT
from datacanal.protocol.site import (
    SITE_PROTOCOL,
    CatalogueReport,
    Finish,
    Heartbeat,
    HeartbeatReply,
    Hello,
    Poll,
    PollReply,
    Start,
    Welcome,
)
from datacanal.serving.departure import Departure
from datacanal.serving.handlers import failure_fields

SWEEP_EVERY_S = 1.0
_log = structlog.get_logger()


class Coordinator:
    """Lives on the event loop; every decision is made inside a transaction of the desk."""

    def __init__(
        self,
        desk: Desk,
        catalogue: CatalogueBook,
        presence: Presence,
        commands: CommandBox,
        terms: Terms,
    ) -> None:
        self._desk = desk
        self._catalogue = catalogue
        self._presence = presence
        self._commands = commands
        self._terms = terms
        self._agents: dict[str, Agent] = {}
        self._told_all: dict[str, int] = {}
        self.closing = False

    async def hello(self, principal: Principal, hello: Hello) -> Welcome:
        """Begin a session. A new boot of the same instance ends the old one's and frees its leases."""
        _check_hello(principal, hello)
        fresh = self._desk.clock.new_id("ses")

        def begin(change: Change) -> str:
            session = free_old_boot(change, principal.tenant, hello) or fresh
            remember_hello(change, principal.tenant, hello, session)
            return session

        session = await self._desk.write(begin)
        self._agents = {known: agent for known, agent in self._agents.items() if agent.site != hello.site}
        self._heard(hello.site)
        await self._catalogue.refresh(principal.tenant)
        # Steps of other sites may have waited to know whom their outputs are for.
        self._desk.signals.wake(site_signal(site) for site in self._catalogue.known(principal.tenant).sites)
        _log.info("site_hello", site=hello.site, instance=hello.instance, session=session, kernel=hello.kernel)
        return Welcome(session=session, lease_s=LEASE_S, heartbeat_s=HEARTBEAT_S)

    async def report_catalogue(self, principal: Principal, report: CatalogueReport) -> None:
        """Take a site's datasets, in place of all that it reported before."""
        agent = await self._agent(principal, report.session)
        await self._catalogue.replace_datasets(agent.tenant, agent.site, report.datasets, report.lakes)

    async def check_session(self, principal: Principal, session: str) -> None:
        """Raise `SessionLost` unless the site speaks in a session of its own."""
        await self._agent(principal, session)

    async def poll(self, principal: Principal, poll: Poll, departure: Departure) -> PollReply:
        """Whatever there is to say; nothing after `wait_s`. An agent that left is not given anything."""
        agent = await self._agent(principal, poll.session)
        until = self._desk.clock.monotonic() + poll.wait_s
        with self._presence.polling(agent.site), self._desk.signals.subscribe(site_signal(agent.site)) as news:
            departure.on_leave = news.wake
            while not (departure.happened or self.closing):
                reply = await self._reply(agent, poll.free)
                remaining_s = until - self._desk.clock.monotonic()
                if reply != PollReply() or remaining_s <= 0:
                    return reply
                await news.next(remaining_s)
        return PollReply()

    async def _reply(self, agent: Agent, free: int) -> PollReply:
        """Look for something to say, unless nothing happened since there was nothing."""
        woken = self._desk.signals.count(site_signal(agent.site))
        if self._told_all.get(agent.session) == woken:
            return PollReply()
        reply = await self._look(agent, free)
        if len(reply.leases) < free:
            self._told_all[agent.session] = woken
        return reply

    async def _look(self, agent: Agent, free: int) -> PollReply:
        around = Around(self._presence.connected_sites(), self._catalogue.known(agent.tenant).hellos)

        may_be_replaced = agent.session not in self._agents  # a hello of its site came while it polled

        def decide(change: Change) -> PollReply:
            if may_be_replaced:
                agent_of(change.session, agent.tenant, agent.site, agent.session)
            drops = take_drops(change, agent)
            leases = take_leases(change, agent, free, around, self._terms)
            return PollReply(leases=leases, commands=list(drops))

        decided = await self._desk.write(decide)
        commands = [*self._commands.take(agent.site), *decided.commands]
        return PollReply(leases=decided.leases, cancels=self._desk.take_stops(agent.session), commands=commands)

    async def heartbeat(self, principal: Principal, report: Heartbeat) -> HeartbeatReply:
        """Keep leases alive."""
        agent = await self._agent(principal, report.session)
        if not report.steps:
            return HeartbeatReply(stop=[])
        return await self._desk.write(lambda change: heartbeat(change, agent, report))

    async def start(self, principal: Principal, job: str, step: str, report: Start) -> None:
        """The attempt runs."""
        agent = await self._agent(principal, report.session)
        await self._desk.write(lambda change: start(change, agent, job, step, report.fence))

    async def finish(self, principal: Principal, job: str, step: str, report: Finish) -> None:
        """The attempt ended."""
        agent = await self._agent(principal, report.session)
        await self._desk.write(lambda change: finish(change, agent, job, step, report))

    async def _agent(self, principal: Principal, session_id: str) -> Agent:
        """Who speaks. Raises `SessionLost`; a session that was replaced is not remembered."""
        agent = self._agents.get(session_id)
        if agent is None or (agent.tenant, agent.site) != (principal.tenant, principal.name):
            agent = await self._desk.read(
                lambda session: agent_of(session, principal.tenant, principal.name, session_id)
            )
            self._agents[session_id] = agent
        self._heard(agent.site)
        return agent

    def _heard(self, site: str) -> None:
        if self._presence.heard(site):
            self._desk.signals.wake([CATALOGUE, QUEUE])
            self._desk.signals.wake(site_signal(other) for other in self._presence.connected_sites())

    def forget(self, tenant: str, site: str) -> None:
        """The site joined again: whoever polls with what it had before is told so now."""
        self._agents = {
            known: agent for known, agent in self._agents.items() if (agent.tenant, agent.site) != (tenant, site)
        }
        self._told_all.clear()
        self._desk.signals.wake([site_signal(site)])

    def absence(self, tenant: str, site: str) -> str | None:
        """Words about a site that is away; None while it is connected."""
        if self._presence.connected(site):
            return None
        return self._catalogue.absence(self._catalogue.known(tenant), site)

    async def run(self) -> None:
        """Sweep once a second, for as long as the control plane runs."""
        while True:
            try:
                await self._desk.write(lambda change: sweep(change, self.absence))
            except Exception as error:  # one bad sweep must not be the last
                _log.error("sweep_broke", **failure_fields(error))
            await asyncio.sleep(SWEEP_EVERY_S)

    def close(self) -> None:
        """Answer every long poll now."""
        self.closing = True
        self._desk.signals.wake_all()


def _check_hello(principal: Principal, hello: Hello) -> None:
    if hello.site != principal.name:
        raise Forbidden(role=f"site {principal.name}", action=f"speak for site {hello.site!r}", allowed="its own site")
    if hello.protocol != SITE_PROTOCOL:
        needed = f"protocol {SITE_PROTOCOL}"
        raise KernelMismatch(site=hello.site, found=f"protocol {hello.protocol}", needed=needed)
    if PLAN_FORMAT not in hello.plan_formats:
        found = f"plan formats {hello.plan_formats}"
        raise KernelMismatch(site=hello.site, found=found, needed=f"plan format {PLAN_FORMAT}")
