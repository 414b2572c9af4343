"""The configuration file: frozen, checked as a whole, read once. Unknown keys are errors, units are in the names."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import unquote, urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from datacanal.configured_values import (
    EVERYWHERE,
    LOOPBACK,
    LakeName,
    Listen,
    SiteName,
    Size,
    check_control_url,
    check_exchange_url,
    host_of,
)
from datacanal.costs_section import CostsSection
from datacanal.database_address import DatabaseAddress
from datacanal.domain.errors import BadConfiguration, NotAvailable
from datacanal.launcher_section import LauncherSection
from datacanal.sign_in_section import SignInSection


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class DoorSection(Section):
    """`certificate` and `key` (PEM) are for `listen`; beyond loopback one is made where none is given."""

    listen: Listen
    certificate: Path | None = None
    key: Path | None = None

    @model_validator(mode="after")
    def _certificate_with_key(self) -> Self:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key belong together")
        return self

    @property
    def is_secured(self) -> bool:
        """Whether `listen` speaks HTTPS."""
        return self.certificate is not None or host_of(self.listen) not in LOOPBACK


class ControlSection(DoorSection):
    """`sites` is where agents call, by mutual TLS always; absent: on the host of `listen`, at a port that is kept."""

    listen: Listen = "127.0.0.1:8400"
    sites: Listen | None = None
    database: DatabaseAddress = "sqlite"


class GatewaySection(DoorSection):
    """`store` is the directory of snapshots. `memory` is for reading, half of it DuckDB's; `cache` for answers.

    `checkpoints` is the file that the ledger's checkpoints are copied to: best on another disk than the home.
    """

    listen: Listen = "127.0.0.1:8401"
    store: Path = Path("products")
    memory: Size = 2**30
    cache: Size = 256 * 2**20
    threads: int = Field(default=2, ge=1, le=256, description="queries that run at once")
    query_timeout_s: float = Field(default=30, gt=0, le=3600)
    costs: CostsSection = CostsSection()
    sign_in: SignInSection | None = Field(default=None, description="absent: people come with tokens alone")
    checkpoints: Path | None = Field(default=None, description="absent: checkpoints.ndjson in the home")

    def checkpoints_of(self, home: Path) -> Path:
        """Where the ledger's checkpoints are copied to."""
        return self.checkpoints or home / "checkpoints.ndjson"


LEAST_CONTAINER_BYTES = 384 * 2**20
"""Below this a worker's container has no room for data beside its own processes."""


class PoolSection(Section):
    """`threads` are DuckDB threads per worker; `memory` is per worker: with `docker` that of its whole container."""

    backend: Literal["local", "docker"] = "local"
    workers: int | None = Field(default=None, ge=1, le=256)
    min: int | None = Field(default=None, ge=0, le=256)
    max: int | None = Field(default=None, ge=1, le=256)
    threads: int = Field(default=1, ge=1, le=256)
    memory: Size = 2 * 2**30

    @model_validator(mode="after")
    def _fixed_or_elastic(self) -> PoolSection:
        if self.workers is not None and (self.min is not None or self.max is not None):
            raise ValueError("give either workers, or min and max")
        if self.workers is None and (self.min is None) != (self.max is None):
            raise ValueError("min and max belong together")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError("min is larger than max")
        if self.backend == "docker" and self.memory < LEAST_CONTAINER_BYTES:
            raise ValueError(f"a worker's container needs a memory of at least {LEAST_CONTAINER_BYTES // 2**20}MiB")
        return self

    @property
    def least_workers(self) -> int:
        """How many workers the pool has when it has nothing to do."""
        return self.most_workers if self.min is None else self.min

    @property
    def most_workers(self) -> int:
        """How many workers it has when it has much to do."""
        return self.max or self.workers or 2


PRODUCTS = "products"  # name and url of the lake whose datasets are the data products of the gateway's store


class LakeSection(Section):
    """`policy` is absent for the lake of products alone: who reads those is their publishers' to say."""

    name: LakeName
    url: str
    policy: Path | None = None
    endpoint: str | None = None
    credentials: Path | None = None

    @model_validator(mode="after")
    def _products_or_policy(self) -> Self:
        if (self.name == PRODUCTS) != (self.url == PRODUCTS):
            raise ValueError('name = "products" and url = "products" belong together: the lake of data products')
        if self.is_products and (self.policy or self.endpoint or self.credentials):
            raise ValueError("the lake of data products has no policy, endpoint or credentials of its own")
        if not self.is_products and self.policy is None:
            raise ValueError("a policy is needed: it says what the lake's owner lets out")
        return self

    @property
    def is_products(self) -> bool:
        """Whether its datasets are the data products of the gateway's store."""
        return self.name == PRODUCTS

    @property
    def path(self) -> Path:
        """The directory of a `file://` lake."""
        return Path(unquote(urlsplit(self.url).path))


class PythonSection(Section):
    """Python jobs: `reserve` clusters are kept ready, each with so many `workers`; `memory` is that of a container.

    A job that asks for another size waits for a cluster of its own to start.
    """

    reserve: int = Field(default=1, ge=0, le=64)
    workers: int = Field(default=2, ge=0, le=64)
    memory: Size = 2**30

    @field_validator("memory")
    @classmethod
    def _enough(cls, memory: int) -> int:
        if memory < LEAST_CONTAINER_BYTES:
            raise ValueError(f"a container needs a memory of at least {LEAST_CONTAINER_BYTES // 2**20}MiB")
        return memory


class SiteSection(Section):
    """`ca` (PEM) is who vouches for a control plane with a certificate of an authority that the machine does not know.

    `exchange_url` is what other sites call, where it is not what this one listens on.
    """

    name: SiteName
    control: Annotated[str, AfterValidator(check_control_url)] = "http://127.0.0.1:8400"
    ca: Path | None = None
    exchange: Listen = "127.0.0.1:8410"
    exchange_url: Annotated[str, AfterValidator(check_exchange_url)] | None = None
    pool: PoolSection = PoolSection()
    python: PythonSection = PythonSection()
    lakes: list[LakeSection] = Field(default_factory=list)


class LimitsSection(Section):
    """Seconds, and how much may run and wait at once."""

    queue_timeout_s: float = Field(default=600, gt=0)
    run_timeout_s: float = Field(default=3600, gt=0)
    total_timeout_s: float = Field(default=7200, gt=0)
    result_expiry_s: float = Field(default=86400, gt=0)
    running_jobs: int = Field(default=32, ge=1, description="jobs that run at once")
    running_jobs_per_user: int = Field(default=16, ge=1, description="jobs that one user runs at once")
    waiting_jobs: int = Field(default=10_000, ge=1, description="jobs that may wait; more are refused")
    scan_bytes_per_job: Size | None = Field(default=None, description="absent: no limit")


class PlanningSection(Section):
    """Which rules of the planner are in force. Answers are the same without them; more bytes move."""

    subtrees: bool = Field(default=True, description="parts whose datasets are at one site run there whole")
    join_groups: bool = Field(default=True, description="rows that find no partner at their own site do not travel")


def url_of(door: DoorSection) -> str:
    """Where callers of this machine find it."""
    host, _, port = door.listen.rpartition(":")
    scheme = "https" if door.is_secured else "http"
    return f"{scheme}://{'127.0.0.1' if host in EVERYWHERE else host}:{port}"


class Configuration(Section):
    """The whole file, with paths made absolute."""

    home: Path = Path("state")
    control: ControlSection = ControlSection()
    gateway: GatewaySection | None = None
    launcher: LauncherSection = LauncherSection()
    sites: list[SiteSection] = Field(default_factory=list)
    limits: LimitsSection = LimitsSection()
    planning: PlanningSection = PlanningSection()
    file: Path = Field(exclude=True)

    def site(self, name: str) -> SiteSection:
        """The site of that name."""
        for site in self.sites:
            if site.name == name:
                return site
        raise BadConfiguration(file=str(self.file), key="sites", reason=f"there is no site {name!r}")

    def gateway_on(self, listen: str | None) -> GatewaySection:
        """The section of the gateway, on that address where one is given. Raises `BadConfiguration`."""
        section = self.gateway or GatewaySection(store=self.home / "products")
        try:
            return GatewaySection.model_validate({**section.model_dump(), "listen": listen or section.listen})
        except ValidationError as error:
            reason = error.errors()[0]["msg"].removeprefix("Value error, ")
            raise BadConfiguration(file=str(self.file), key="gateway.listen", reason=reason) from None

    def site_home(self, name: str) -> Path:
        """Where the site keeps its own state."""
        return self.home / "sites" / name

    @property
    def products_store(self) -> Path:
        """Where the snapshots of products lie, for the control plane and every gateway."""
        return self.gateway_on(None).store

    @property
    def checkpoints(self) -> Path:
        """Where the ledger's checkpoints are copied to."""
        return self.gateway_on(None).checkpoints_of(self.home)

    @property
    def control_url(self) -> str:
        """Where the control plane of this file answers."""
        return url_of(self.control)


def load_configuration(file: Path) -> Configuration:
    """Read and check the whole file, and refuse what is not built yet.

    Raises `BadConfiguration` naming file, key and reason, or `NotAvailable` naming the key.
    """
    configuration = _validated(file, _parsed(file))
    _check_together(configuration)
    _refuse_unbuilt(configuration)
    return configuration


def _parsed(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BadConfiguration(
            file=str(file), key="file", reason="it does not exist; `datacanal init DIR` makes one"
        ) from None
    except OSError as error:
        raise BadConfiguration(file=str(file), key="file", reason=str(error.strerror)) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadConfiguration(file=str(file), key="file", reason=f"not valid TOML: {error}") from None


def _validated(file: Path, parsed: dict[str, Any]) -> Configuration:
    try:
        loaded = Configuration.model_validate({**parsed, "file": file.resolve()})
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"]) or "file"
        reason = (
            "this key is not known"
            if first["type"] == "extra_forbidden"
            else first["msg"].removeprefix("Value error, ")
        )
        raise BadConfiguration(file=str(file), key=key, reason=reason) from None
    base = loaded.file.parent
    home = (base / loaded.home).resolve()
    doors = {"control": _absolute(base, loaded.control), "gateway": loaded.gateway and _absolute(base, loaded.gateway)}
    placed = loaded.model_copy(update={"home": home, **doors})
    store = placed.products_store
    return placed.model_copy(update={"sites": [_absolute_site(base, site, store) for site in loaded.sites]})


_FILES = ("certificate", "key", "store", "checkpoints")


def _absolute(base: Path, section: DoorSection) -> DoorSection:
    given = {name: file for name in _FILES if (file := getattr(section, name, None))}
    placed: dict[str, Any] = {name: (base / file).resolve() for name, file in given.items()}
    sign_in = section.sign_in if isinstance(section, GatewaySection) else None
    if sign_in and sign_in.client_secret:
        secret = (base / sign_in.client_secret).resolve()
        placed["sign_in"] = sign_in.model_copy(update={"client_secret": secret})
    return section.model_copy(update=placed)


def _absolute_site(base: Path, site: SiteSection, store: Path) -> SiteSection:
    lakes = [_absolute_lake(base, lake, store) for lake in site.lakes]
    return site.model_copy(update={"lakes": lakes, "ca": (base / site.ca).resolve() if site.ca else None})


def _absolute_lake(base: Path, lake: LakeSection, store: Path) -> LakeSection:
    if lake.policy is None:
        return lake.model_copy(update={"url": store.resolve().as_uri()})
    url = lake.url
    if "://" not in url:
        url = (base / url).resolve().as_uri()
    elif url.startswith("file://") and not url.startswith("file:///"):
        url = (base / unquote(url.removeprefix("file://"))).resolve().as_uri()
    credentials = (base / lake.credentials).resolve() if lake.credentials else None
    return lake.model_copy(update={"url": url, "policy": (base / lake.policy).resolve(), "credentials": credentials})


def _check_together(configuration: Configuration) -> None:
    def twice(names: list[str]) -> str | None:
        return next((name for name in names if names.count(name) > 1), None)

    file = str(configuration.file)
    if name := twice([site.name for site in configuration.sites]):
        raise BadConfiguration(file=file, key="sites.name", reason=f"two sites are called {name!r}")
    if name := twice([lake.name.lower() for site in configuration.sites for lake in site.lakes]):
        raise BadConfiguration(file=file, key="sites.lakes.name", reason=f"two lakes are called {name!r}")
    if configuration.gateway is None and any(lake.is_products for site in configuration.sites for lake in site.lakes):
        reason = "data products need the store of a [gateway], and there is no [gateway]"
        raise BadConfiguration(file=file, key="sites.lakes.url", reason=reason)
    control = configuration.control
    listens = [control.listen, *([control.sites] if control.sites else [])]
    listens += [site.exchange for site in configuration.sites]
    if configuration.gateway is not None:
        listens.append(configuration.gateway.listen)
    if address := twice([listen for listen in listens if not listen.endswith(":0")]):
        raise BadConfiguration(file=file, key="listen", reason=f"two parts listen on {address}")


def _refuse_unbuilt(configuration: Configuration) -> None:
    for number, site in enumerate(configuration.sites):
        _refuse_unbuilt_site(f"sites.{number}", site)


def _refuse_unbuilt_site(key: str, site: SiteSection) -> None:
    for position, lake in enumerate(site.lakes):
        if not lake.url.startswith("file://") or lake.endpoint or lake.credentials:
            raise NotAvailable(
                key=f"{key}.lakes.{position}.url", what="a lake that is not a directory", hint='Use "file:///path".'
            )
