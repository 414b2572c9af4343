"""What the launcher knows by itself, from its own configuration: never from a request."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network
from pathlib import Path

from datacanal.configuration import Configuration, LakeSection, SiteSection
from datacanal.domain.errors import BadConfiguration

BOXED = ("python", "-m", "datacanal.site.engine.boxed")
"""The command of every container, before its role."""
NOBODY = 65532
"""Who runs where the site's own user is root."""
_OF_CONTAINERS = tuple(Path(path) for path in ("/run/datacanal", "/stage", "/tmp", "/work", "/proc", "/sys", "/dev"))  # noqa: S108


@dataclass(frozen=True)
class Folder:
    """A directory, under its name at the site (and in containers) and under its real one for this process."""

    path: Path
    real: Path

    def below(self, *names: str) -> Folder:
        """A folder in it."""
        return Folder(self.path.joinpath(*names), self.real.joinpath(*names))


@dataclass(frozen=True)
class SiteGround:
    """What of this machine belongs to one site.

    `home_there` is what the engine's machine calls its home, where that is another name: launchers in containers may
    all see theirs under the same one.
    """

    name: str
    home: Folder
    lakes: Mapping[str, Folder]
    home_there: Path | None = None

    @property
    def scope(self) -> str:
        """Tells this site from one of the same name with another home."""
        return scope_of(self.home_there or self.home.path)


@dataclass(frozen=True)
class User:
    """Numeric, for a container need not know any names."""

    uid: int
    gid: int


@dataclass(frozen=True)
class LauncherSettings:
    """The launcher's whole configuration. `home` holds its sockets; `command` is followed by a container's role."""

    home: Path
    docker_host: str
    image: str
    subnets: IPv4Network
    sites: tuple[SiteGround, ...]
    images: frozenset[str] = frozenset()
    runtime: str | None = None
    paths: Mapping[Path, Path] = field(default_factory=dict)
    command: tuple[str, ...] = BOXED

    def host_path(self, path: Path) -> Path:
        """What the engine's machine calls it: by the longest of `paths` that it lies in."""
        return path_there(path, self.paths)


def scope_of(home: Path) -> str:
    """What the engine's containers and networks of a site with this home are labelled with."""
    return hashlib.sha256(str(home).encode()).hexdigest()[:8]


def path_there(path: Path, paths: Mapping[Path, Path]) -> Path:
    """The path by the longest of `paths` that it lies in; as it is where it lies in none."""
    for seen in sorted(paths, key=lambda seen: len(seen.parts), reverse=True):
        if path.is_relative_to(seen):
            return paths[seen] / path.relative_to(seen)
    return path


def user_of(home: Path) -> User:
    """Who the site's containers run as: the owner of its home, but never root."""
    status = home.stat()
    return User(status.st_uid, status.st_gid or NOBODY) if status.st_uid else User(NOBODY, NOBODY)


def launcher_socket(configuration: Configuration, site: str) -> Path:
    """Where the launcher of this configuration serves the site."""
    return socket_of(_home(configuration), site)


def launcher_settings(configuration: Configuration) -> LauncherSettings:
    """From the configuration file. Raises `BadConfiguration` for folders that no container may have."""
    section = configuration.launcher
    settings = LauncherSettings(
        home=_home(configuration),
        docker_host=section.docker_host,
        image=section.image,
        images=frozenset(section.images),
        runtime=section.runtime,
        subnets=IPv4Network(section.subnets),
        paths=section.paths,
        sites=tuple(_ground(configuration, site) for site in configuration.sites),
    )
    _refuse_revealing(configuration, settings)
    return settings


def _home(configuration: Configuration) -> Path:
    return configuration.home / "launcher"


def socket_of(home: Path, site: str) -> Path:
    """Where a launcher with this home serves the site."""
    return home / f"{site}.sock"


def _ground(configuration: Configuration, site: SiteSection) -> SiteGround:
    lakes = {lake.name: _folder(lake.path) for lake in site.lakes if _is_directory(lake)}
    home = configuration.site_home(site.name)
    return SiteGround(site.name, _folder(home), lakes, path_there(home, configuration.launcher.paths))


def _is_directory(lake: LakeSection) -> bool:
    return lake.url.startswith("file://")


def _folder(path: Path) -> Folder:
    return Folder(path, path.resolve())


def _refuse_revealing(configuration: Configuration, settings: LauncherSettings) -> None:
    """A lake must not hold the engine's socket or a site's keys, nor hide what every container has."""
    docker = Path(settings.docker_host.removeprefix("unix://")).resolve()
    homes = [site.home.real for site in settings.sites]
    for site in settings.sites:
        for name, lake in site.lakes.items():
            inside = [path for path in (docker, settings.home.resolve(), *homes) if path.is_relative_to(lake.real)]
            inside += [path for path in _OF_CONTAINERS if path.is_relative_to(lake.path)]
            if inside:
                reason = f"the folder of lake {name!r} holds {inside[0]}, which no container may have"
                raise BadConfiguration(file=str(configuration.file), key="sites.lakes.url", reason=reason)
