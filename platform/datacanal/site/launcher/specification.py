"""What a site may ask of the launcher: there is no field for a command, a mount path, a capability or environment."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, model_validator

from datacanal.protocol.base import Document
from datacanal.protocol.plan import PythonEnvironment

NAME_PATTERN = "^[a-z0-9][a-z0-9-]{0,47}$"
MAX_WAIT_S = 60.0
_MIB = 2**20
_TIB = 2**40

Name = Annotated[str, Field(pattern=NAME_PATTERN)]
BootId = Annotated[str, Field(pattern="^[0-9a-f]{8,64}$")]
ImageId = Annotated[str, Field(pattern="^sha256:[0-9a-f]{64}$")]
Mark = Annotated[str, Field(pattern="^[A-Za-z0-9_.:-]{1,128}$")]
Role = Literal["scheduler", "runner", "worker", "job_scheduler", "job_worker", "driver"]
SCRATCH_ROLES: tuple[Role, ...] = ("runner", "worker")


class Hello(Document):
    """A new life of a site's agent: what its earlier boots left is removed."""

    boot: BootId


class PoolNetwork(Document):
    """The network of one pool: its members reach one another and nothing else."""

    pool: Name
    boot: BootId


class ContainerSpecification(Document):
    """One container. `lakes` are mounted read-only at the paths that they have at the site, its scratch writable.

    `stage` and `channel` are folders below the site home's `stages` and `channels`, mounted read-only at /stage and
    /run/datacanal.

    `image` is one of the launcher's allowed images by id; absent: the one it is configured with.
    """

    name: Name
    role: Role
    pool: Name
    boot: BootId
    memory_bytes: int = Field(ge=32 * _MIB, le=4 * _TIB)
    cpus: float = Field(ge=0.01, le=1024, allow_inf_nan=False)
    lakes: tuple[Annotated[str, Field(min_length=1, max_length=63)], ...] = Field(default=(), max_length=64)
    stage: Name | None = None
    scratch: bool = False
    channel: Name
    tmp_bytes: int = Field(ge=_MIB, le=_TIB)
    work_bytes: int = Field(ge=_MIB, le=_TIB)
    image: ImageId | None = None
    job: Mark | None = None
    step: Mark | None = None
    fence: int | None = Field(default=None, ge=0, lt=2**63)

    @model_validator(mode="after")
    def _consistent(self) -> ContainerSpecification:
        if self.scratch and self.role not in SCRATCH_ROLES:
            raise ValueError(f"scratch is for {' and '.join(SCRATCH_ROLES)}, not for a {self.role}")
        if len(set(self.lakes)) < len(self.lakes):
            raise ValueError("a lake is named twice")
        return self


class ContainerState(Document):
    """How a container is. `exit_code` is absent until it has ended, `image` is an id."""

    name: str
    role: str
    pool: str
    running: bool
    exit_code: int | None
    oom_killed: bool
    image: str
    started_at: datetime | None


class ImageState(Document):
    """An image that containers of this site run: its id, and what a function finds in it, where its label says."""

    id: str
    environment: PythonEnvironment | None


class ContainerStates(Document):
    """All containers of one site."""

    containers: list[ContainerState]
