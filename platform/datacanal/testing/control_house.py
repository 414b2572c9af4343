"""A whole control plane on loopback for tests: real HTTP and TLS, real store, a compiler of the test's choice."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import httpx

from datacanal.configuration import Configuration, ControlSection, LimitsSection, SiteSection
from datacanal.control.clock import Clock, SystemClock
from datacanal.control.doors import bind_site_door
from datacanal.control.plane import Plane
from datacanal.control.planner import Compiler
from datacanal.control.products.ports import Workshop
from datacanal.control.service import answering, running_plane
from datacanal.control.store.opening import open_store
from datacanal.serving.doors import public_tls
from datacanal.serving.runner import address_of, bind
from datacanal.serving.tls import pinned_client
from datacanal.site.identity import SiteIdentity, load_identity, load_membership
from datacanal.site.joining import PublicDoor, Tokens, ensure_joined
from datacanal.storage.places import EMBEDDED
from datacanal.testing.agent_fake import ScriptedAgent
from datacanal.testing.compiler_fake import ScriptedCompiler
from datacanal.testing.product_fakes import FakeWorkshop

SITES = ("core", "users")
NAMED_IN = "database"
"""A file in a house's home: which database it has, where that is not the embedded one."""


class ControlHouse:
    """The plane, its address, and clients with tokens."""

    def __init__(self, plane: Plane, url: str, home: Path, resources: AsyncExitStack) -> None:
        self.plane = plane
        self.url = url
        self._home = home
        self._resources = resources

    async def client(self, token: str | None) -> httpx.AsyncClient:
        """A client that carries the token; closed with the house."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        http = httpx.AsyncClient(base_url=self.url, headers=headers, timeout=40, trust_env=False)
        return await self._resources.enter_async_context(http)

    async def admin(self) -> httpx.AsyncClient:
        """A client with the token of the first start."""
        return await self.client((self._home / "admin.token").read_text().strip())

    async def caller(self, role: str, name: str) -> httpx.AsyncClient:
        """A client with a fresh token."""
        admin = await self.admin()
        made = await admin.post("/v1/tokens", json={"name": name, "role": role})
        return await self.client(made.json()["secret"])

    async def agent(self, site: str, boot: str = "boot1") -> ScriptedAgent:
        """An agent of the site that has joined and said hello."""
        member, http = await self.member(site)
        agent = ScriptedAgent(http, member, boot=boot)
        await agent.hello()
        return agent

    async def member(self, site: str) -> tuple[SiteIdentity, httpx.AsyncClient]:
        """The site's identity, and its client at the sites' door; it joins by the token of the first start."""
        home = self.site_home(site)
        identity = load_identity(home, site, lambda length: site.encode().ljust(length, b".")[:length])
        joined = await ensure_joined(home, identity, PublicDoor(self.url), Tokens(home, ""))
        verify = pinned_client(joined.certificate, identity.pair)
        http = httpx.AsyncClient(base_url=joined.door, verify=verify, timeout=40, trust_env=False)
        return identity, await self._resources.enter_async_context(http)

    def door_of(self, site: str) -> tuple[str, str]:
        """Where that member finds the sites' door, and the certificate that it pinned for it."""
        member = load_membership(self.site_home(site))
        assert member is not None, f"site {site} has not joined"
        return member.door, member.certificate

    def site_home(self, site: str) -> Path:
        """The home of a site on this machine."""
        return self._home / "sites" / site


@asynccontextmanager
async def control_house(
    home: Path,
    *,
    compiler: Compiler | None = None,
    clock: Callable[[], Clock] = SystemClock,
    limits: LimitsSection | None = None,
    public: ControlSection | None = None,
    workshop: Workshop | None = None,
) -> AsyncIterator[ControlHouse]:
    """A control plane over the home, as it is after a start. Entering again with the same home is a restart.

    It answers on loopback, whatever `public` says, but secured as that says.
    """
    configuration = Configuration(
        home=home,
        file=home / "datacanal.toml",
        control=ControlSection(database=database_of(home)),
        sites=[SiteSection(name=name, exchange=f"127.0.0.1:{8410 + place}") for place, name in enumerate(SITES)],
        limits=limits or LimitsSection(),
    )
    running_clock = clock()
    store = open_store(home, running_clock, configuration.control.database)
    builder = workshop or FakeWorkshop()
    async with running_plane(configuration, store, running_clock, compiler or ScriptedCompiler(), builder) as plane:
        listening = bind("127.0.0.1:0", key="control.listen")
        for_sites = bind_site_door(configuration.control, home)
        tls = public_tls(public or configuration.control, home, "control")
        url = f"{'https' if tls else 'http'}://{address_of(listening)}"
        async with answering(plane, listening, for_sites, tls), AsyncExitStack() as resources:
            yield ControlHouse(plane, url, home, resources)


def database_of(home: Path) -> str:
    """The database of the house over that home."""
    named = home / NAMED_IN
    return named.read_text("utf-8") if named.exists() else EMBEDDED
