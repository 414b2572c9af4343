"""A site with folders and lakes on a temporary disk, and specifications of its containers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

from datacanal.site.launcher.boots import Boots
from datacanal.site.launcher.engine import Engine
from datacanal.site.launcher.household import Household, Shut
from datacanal.site.launcher.settings import Folder, LauncherSettings, SiteGround, User
from datacanal.site.launcher.specification import ContainerSpecification

BOOT = "0123456789abcdef"
IMAGE = f"sha256:{'1' * 64}"
ALLOWED = f"sha256:{'2' * 64}"
SUBNETS = IPv4Network("10.213.0.0/16")


def same(path: Path) -> Folder:
    return Folder(path, path)


@dataclass
class Ground:
    """Everything of two sites, `core` with two lakes and `crm` with none."""

    home: Path

    def __post_init__(self) -> None:
        self.home = self.home.resolve()
        for site in (self.core, self.crm):
            for folder in ("channels/c1", "channels/c2", "stages/s1", "scratch"):
                (site.home.path / folder).mkdir(parents=True, exist_ok=True)
            for lake in site.lakes.values():
                lake.path.mkdir(parents=True, exist_ok=True)
        (self.home / "launcher").mkdir(exist_ok=True)

    @property
    def core(self) -> SiteGround:
        lakes = {name: same(self.home / "lakes" / name) for name in ("payments", "účty")}
        return SiteGround("core", same(self.home / "sites" / "core"), lakes)

    @property
    def crm(self) -> SiteGround:
        return SiteGround("crm", same(self.home / "sites" / "crm"), {})

    @property
    def settings(self) -> LauncherSettings:
        return LauncherSettings(
            home=self.home / "launcher",
            docker_host="unix:///var/run/docker.sock",
            image="datacanal-worker:latest",
            images=frozenset({ALLOWED}),
            subnets=SUBNETS,
            sites=(self.core, self.crm),
        )

    def household(
        self,
        engine: Engine,
        site: SiteGround | None = None,
        boots: Boots | None = None,
        shut: Shut = lambda _network: "",
        **changed: Any,
    ) -> Household:
        """What a site may do with the engine."""
        boots = boots or Boots(self.home / "launcher" / "boots.json")
        settings = replace(self.settings, **changed)
        return Household(site or self.core, User(1000, 1000), settings, engine, boots, list, shut)


def specification(**changed: Any) -> ContainerSpecification:
    """A worker with all that a worker may have."""
    wanted = {
        "name": "worker-1",
        "role": "worker",
        "pool": "p1",
        "boot": BOOT,
        "memory_bytes": 512 * 2**20,
        "cpus": 1.5,
        "lakes": ("payments",),
        "stage": "s1",
        "scratch": True,
        "channel": "c1",
        "tmp_bytes": 64 * 2**20,
        "work_bytes": 2**30,
        **changed,
    }
    return ContainerSpecification.model_validate(wanted)
