"""The launcher's section of the configuration file: which engine, which images, which addresses."""

from __future__ import annotations

import re
from ipaddress import IPv4Network
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

POOL_PREFIX = 27
"""A pool's network has 32 addresses."""
_IMAGE_ID = re.compile(r"^sha256:[0-9a-f]{64}$")


def _check_engine(value: str) -> str:
    # Folders are mounted by their path, so the engine is on this machine.
    if not value.startswith("unix:///"):
        raise ValueError('a Unix socket such as "unix:///var/run/docker.sock" is needed')
    return value


def _check_subnets(value: str) -> str:
    try:
        network = IPv4Network(value)
    except ValueError:
        raise ValueError('a range of addresses such as "10.213.0.0/16" is needed') from None
    if not network.is_private or network.prefixlen > POOL_PREFIX:
        raise ValueError(f"a private range of at least a /{POOL_PREFIX} is needed")
    return value


def _check_image_id(value: str) -> str:
    if not _IMAGE_ID.match(value):
        raise ValueError("the id of an image is needed: sha256: and 64 hexadecimal digits")
    return value


def _check_absolute(value: Path) -> Path:
    if not value.is_absolute() or ".." in value.parts:
        raise ValueError("an absolute path without .. is needed")
    return value


AbsolutePath = Annotated[Path, AfterValidator(_check_absolute)]


class LauncherSection(BaseModel):
    """`image` is what pools run; `images` are ids that a specification may name instead.

    `paths` says for directories that the launcher sees under another name than the engine's machine (because it runs in
    a container itself) what they are called there. `runtime` is one of the engine's; absent: its default.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    docker_host: Annotated[str, AfterValidator(_check_engine)] = "unix:///var/run/docker.sock"
    image: str = Field(default="datacanal-worker:latest", min_length=1, max_length=255)
    images: tuple[Annotated[str, AfterValidator(_check_image_id)], ...] = ()
    runtime: str | None = Field(default=None, pattern="^[A-Za-z0-9_.-]{1,64}$")
    subnets: Annotated[str, AfterValidator(_check_subnets)] = "10.213.0.0/16"
    paths: dict[AbsolutePath, AbsolutePath] = Field(default_factory=dict)
