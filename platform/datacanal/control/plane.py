"""The parts of a control plane, put together."""

from __future__ import annotations

from dataclasses import dataclass

from datacanal.configuration import LimitsSection
from datacanal.control.catalogue import CatalogueBook
from datacanal.control.clock import Clock
from datacanal.control.commands import CommandBox, Refresher
from datacanal.control.coordinator import Coordinator
from datacanal.control.desk import Desk
from datacanal.control.dispatcher import Dispatcher, PlanMemory
from datacanal.control.doors import SiteDoor
from datacanal.control.identity import Issuer
from datacanal.control.jobs import JobService
from datacanal.control.joining import SiteBook
from datacanal.control.leases import Terms
from datacanal.control.planner import Compiler, Planner
from datacanal.control.presence import Presence
from datacanal.control.products.assembly import ProductPlaces, Products, build_products
from datacanal.control.products.consents import OwnersAtSites
from datacanal.control.products.fetching import RelayedResults
from datacanal.control.relays import RelayDesk
from datacanal.control.schedules.assembly import Schedules, build_schedules
from datacanal.control.store.opening import Store
from datacanal.control.tokens import TENANT, TokenBook
from datacanal.control.uploads import UploadRelay
from datacanal.control.words import WordsReader
from datacanal.domain.errors import ServiceBusy
from datacanal.domain.fairness import Limits


@dataclass(frozen=True)
class Plane:
    """What the routes use. `sites` are those of the configuration."""

    sites: tuple[str, ...]
    desk: Desk
    tokens: TokenBook
    members: SiteBook
    door: SiteDoor
    catalogue: CatalogueBook
    presence: Presence
    refresher: Refresher
    planner: Planner
    jobs: JobService
    dispatcher: Dispatcher
    coordinator: Coordinator
    relay: UploadRelay
    relays: RelayDesk
    issuer: Issuer
    words: WordsReader
    schedules: Schedules
    products: Products

    def load(self) -> None:
        """Read what the store remembers."""
        self.tokens.load()
        self.members.load()
        self.catalogue.load([TENANT])

    @property
    def closing(self) -> bool:
        """Whether nobody should begin to wait any more."""
        return self.coordinator.closing

    def begin_closing(self) -> None:
        """Answer everybody who waits for something that will not come any more."""
        self.coordinator.close()
        for waiting in (self.relay, self.relays, self.products.owners):
            waiting.refuse_all(ServiceBusy(reason="it is being stopped"))

    async def close(self) -> None:
        """End threads and tasks; what was begun in the store is finished."""
        await self.schedules.keeper.close()
        await self.dispatcher.close()
        self.planner.close()
        self.desk.close()


def build_plane(
    store: Store,
    clock: Clock,
    limits: LimitsSection,
    sites: tuple[str, ...],
    compiler: Compiler,
    issuer: Issuer,
    door: SiteDoor,
    places: ProductPlaces,
) -> Plane:
    """Put the parts together over an opened store."""
    desk = Desk(store, clock, result_expiry_s=limits.result_expiry_s)
    tokens = TokenBook(desk, door.fingerprint)
    presence = Presence(clock)
    catalogue = CatalogueBook(desk, presence)
    commands = CommandBox(desk)
    refresher = Refresher(desk, catalogue, commands, presence)
    planner = Planner(compiler, catalogue, presence, refresher, limits.scan_bytes_per_job)
    memory = PlanMemory()
    jobs = JobService(desk, planner, memory, catalogue, presence, limits)
    coordinator = Coordinator(desk, catalogue, presence, commands, Terms(issuer, limits.result_expiry_s))
    relay = UploadRelay(desk, commands)
    owners = OwnersAtSites(desk, commands, issuer, coordinator.absence)
    products = build_products(desk, places, owners, RelayedResults(relay, issuer, clock))
    return Plane(
        sites=sites,
        desk=desk,
        tokens=tokens,
        members=SiteBook(desk, tokens),
        door=door,
        catalogue=catalogue,
        presence=presence,
        refresher=refresher,
        planner=planner,
        jobs=jobs,
        dispatcher=Dispatcher(desk, planner, memory, Limits(limits.running_jobs, limits.running_jobs_per_user)),
        coordinator=coordinator,
        relay=relay,
        relays=RelayDesk(desk, commands),
        issuer=issuer,
        words=WordsReader(jobs, relay, issuer, coordinator.absence),
        products=products,
        schedules=build_schedules(desk, jobs, products.versions),
    )
