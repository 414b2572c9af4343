"""From a specification to a container's whole configuration: a pure function of it and of the launcher's settings.

Nothing of the specification is passed through: every value below is a constant, a bounded number, or was looked up in
the settings. Who owns the folders (the agent, never a job) could swap one for a link between the look at it and the
mount. The container runs as that owner or as nobody, so it would open what the owner could, and what everybody may read
behind a directory that the owner may not pass.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from datacanal.domain.errors import ContainerRefused, NotFound
from datacanal.protocol.base import digest_of
from datacanal.site.engine.python_task import STAGE
from datacanal.site.launcher.labels import Label, labels_of
from datacanal.site.launcher.settings import Folder, LauncherSettings, SiteGround, User
from datacanal.site.launcher.specification import ContainerSpecification

CHANNEL = "/run/datacanal"
ENVIRONMENT = (
    "HOME=/work",
    "LANG=C.UTF-8",
    "PYTHONDONTWRITEBYTECODE=1",
    "PYTHONSAFEPATH=1",
    "PYTHONUNBUFFERED=1",
    "TMPDIR=/tmp",
)
PIDS = 128
SHM_BYTES = 16 * 2**20
OPEN_FILES = 4096
INODES = 65_536
_OOM_SCORE = 500
"""Where the machine runs out of memory, containers go before what watches them."""
_STOP_S = 2
# The engine's name server would forward what it does not know to the machine's; told this one, it asks the container.
_NO_NAME_SERVER = "127.0.0.1"
# Nobody answers there, so a name that no member has would take 10 s: those without a dot are then known to the engine
# or to nobody, others are given up after one second.
_NAMES_FAIL_FAST = ("ndots:1", "timeout:1", "attempts:1")


@dataclass(frozen=True)
class Mount:
    """A folder that the container gets, at the path that it has at the site unless another target is given."""

    folder: Folder
    target: str
    is_writable: bool = False


@dataclass(frozen=True)
class Surroundings:
    """What was looked up outside: who runs it, the ids of its image and of its pool's network."""

    user: User
    image: str
    network: str


def chosen_image(named: str | None, site: SiteGround, settings: LauncherSettings) -> str:
    """The image's name or id. Raises `ContainerRefused` for one that is not allowed."""
    if named is None:
        return settings.image
    if named not in settings.images:
        reason = f"the image {named} is not allowed"
        raise ContainerRefused(site=site.name, reason=reason, hint="Name its id under launcher.images.")
    return named


def digest_of_specification(specification: ContainerSpecification) -> str:
    """What its container is labelled with, so that asking twice finds it."""
    return digest_of(specification.model_dump(mode="json"))


def mounts_of(specification: ContainerSpecification, site: SiteGround) -> list[Mount]:
    """The folders. Raises `NotFound` for a lake that is not the site's."""
    mounts = [_at_home(_lake(name, site)) for name in specification.lakes]
    if specification.stage is not None:
        mounts.append(Mount(site.home.below("stages", specification.stage), STAGE))
    if specification.scratch:
        scratch = site.home.below("scratch")
        mounts.append(Mount(scratch, str(scratch.path), is_writable=True))
    return [*mounts, Mount(site.home.below("channels", specification.channel), CHANNEL)]


def hardened(
    specification: ContainerSpecification, site: SiteGround, settings: LauncherSettings, found: Surroundings
) -> dict[str, Any]:
    """The body of the engine's request to create the container."""
    return {
        "Hostname": specification.name,
        "User": f"{found.user.uid}:{found.user.gid}",
        "WorkingDir": "/work",
        "Image": found.image,
        "Entrypoint": [*settings.command, specification.role],
        "Cmd": [],
        "Env": list(ENVIRONMENT),
        "Healthcheck": {"Test": ["NONE"]},
        "Tty": False,
        "OpenStdin": False,
        "StopTimeout": _STOP_S,
        "Labels": _labels(specification, site),
        "HostConfig": {
            **_isolation(found, settings),
            **_limits(specification),
            "Mounts": [_bind(mount, settings) for mount in mounts_of(specification, site)],
            "Tmpfs": _tmpfs(specification, found.user),
        },
        "NetworkingConfig": {"EndpointsConfig": {found.network: {"Aliases": [specification.name]}}},
    }


def _isolation(found: Surroundings, settings: LauncherSettings) -> dict[str, Any]:
    isolation: dict[str, Any] = {
        "ReadonlyRootfs": True,
        "Privileged": False,
        "CapAdd": [],
        "CapDrop": ["ALL"],
        "SecurityOpt": ["no-new-privileges:true"],
        "NetworkMode": found.network,
        "IpcMode": "private",
        "CgroupnsMode": "private",
        "PublishAllPorts": False,
        "PortBindings": {},
        "Devices": [],
        "Dns": [_NO_NAME_SERVER],
        "DnsOptions": list(_NAMES_FAIL_FAST),
        "DnsSearch": ["."],
        "ExtraHosts": [],
        "GroupAdd": [],
        "Init": True,
        "AutoRemove": False,
        "RestartPolicy": {"Name": "no"},
    }
    if settings.runtime is not None:
        isolation["Runtime"] = settings.runtime
    return isolation


def _limits(specification: ContainerSpecification) -> dict[str, Any]:
    return {
        "Memory": specification.memory_bytes,
        "MemorySwap": specification.memory_bytes,
        "MemorySwappiness": 0,
        "OomKillDisable": False,
        "OomScoreAdj": _OOM_SCORE,
        "NanoCpus": round(specification.cpus * 10**9),
        "PidsLimit": PIDS,
        "ShmSize": SHM_BYTES,
        "Ulimits": [
            {"Name": "nofile", "Soft": OPEN_FILES, "Hard": OPEN_FILES},
            {"Name": "core", "Soft": 0, "Hard": 0},
        ],
        "LogConfig": {"Type": "local", "Config": {"max-size": "1m", "max-file": "2"}},
    }


def _tmpfs(specification: ContainerSpecification, user: User) -> dict[str, str]:
    common = f"rw,noexec,nosuid,nodev,nr_inodes={INODES}"
    return {
        "/tmp": f"{common},size={specification.tmp_bytes},mode=1777",  # noqa: S108  # inside the container
        "/work": f"{common},size={specification.work_bytes},mode=0700,uid={user.uid},gid={user.gid}",
    }


def _bind(mount: Mount, settings: LauncherSettings) -> dict[str, Any]:
    """Not recursive: an engine of this age would leave what is mounted below a read-only folder writable.

    How later mounts spread is not said, for its default is the strictest that the engine takes: not at all, but into
    folders of its own root (volumes, where the launcher is a container itself), which it refuses otherwise.
    """
    return {
        "Type": "bind",
        "Source": str(settings.host_path(mount.folder.real)),
        "Target": mount.target,
        "ReadOnly": not mount.is_writable,
        "BindOptions": {"NonRecursive": True},
    }


def _labels(specification: ContainerSpecification, site: SiteGround) -> dict[str, str]:
    marks = {Label.JOB: specification.job, Label.STEP: specification.step, Label.FENCE: specification.fence}
    return {
        **labels_of(site, pool=specification.pool, boot=specification.boot),
        Label.NAME: specification.name,
        Label.ROLE: specification.role,
        Label.SPECIFICATION: digest_of_specification(specification),
        **{label: str(mark) for label, mark in marks.items() if mark is not None},
    }


def _lake(name: str, site: SiteGround) -> Folder:
    if name not in site.lakes:
        raise NotFound(what="lake of this site", name=name)
    return site.lakes[name]


def _at_home(folder: Folder) -> Mount:
    return Mount(folder, str(folder.path))
