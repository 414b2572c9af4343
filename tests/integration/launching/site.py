"""One site of an estate, as its agent asks the launcher; its folders and their owner."""

from __future__ import annotations

import asyncio
import json
import os
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest
from tests.integration.launching.inmate import Inmate

from datacanal.domain.errors import DatacanalError
from datacanal.site.launcher.client import LauncherClient
from datacanal.site.launcher.settings import SiteGround
from datacanal.site.launcher.specification import ContainerSpecification, ContainerState, PoolNetwork

OWNER = os.geteuid() or 54_321
"""Of the home and the lake of `core`, and so who runs in its containers. Those of `crm` are the test's own."""
MIB = 2**20
T = TypeVar("T")


def new_boot() -> str:
    return uuid.uuid4().hex


class Site:
    """What an agent of the site asks the launcher. Each boot has said hello."""

    def __init__(self, ground: SiteGround, socket: Path) -> None:
        self.ground = ground
        self.socket = socket
        self.boot = new_boot()
        self.inmates: list[Inmate] = []

    @property
    def owner(self) -> int:
        return self.ground.home.path.stat().st_uid

    @property
    def lake(self) -> Path:
        (folder,) = self.ground.lakes.values()
        return folder.path

    def ask(self, question: Callable[[LauncherClient], Awaitable[T]]) -> T:
        async def asked() -> T:
            async with LauncherClient(self.socket) as client:
                return await question(client)

        return asyncio.run(asked())

    def code_of(self, question: Callable[[LauncherClient], Awaitable[object]]) -> str:
        with pytest.raises(DatacanalError) as refusal:
            self.ask(question)
        return refusal.value.code

    def boots(self, *pools: str) -> None:
        """A new life, with networks for these pools."""
        self.boot = new_boot()
        self.ask(lambda client: client.hello(self.boot))
        for pool in pools:
            self.ask(lambda client, pool=pool: client.ensure_network(self.network(pool)))

    def network(self, pool: str) -> PoolNetwork:
        return PoolNetwork(pool=pool, boot=self.boot)

    def specification(self, name: str, **changed: Any) -> ContainerSpecification:
        """A small worker with all that a worker may have."""
        channel = changed.get("channel", name)
        owned(self.ground.home.path / "channels" / channel, self.owner)
        wanted = {
            "name": name,
            "role": "worker",
            "pool": "p1",
            "boot": self.boot,
            "memory_bytes": 128 * MIB,
            "cpus": 1,
            "lakes": list(self.ground.lakes),
            "stage": "s1",
            "scratch": True,
            "channel": channel,
            "tmp_bytes": MIB,
            "work_bytes": MIB,
            **changed,
        }
        return ContainerSpecification.model_validate_json(json.dumps(wanted))

    def listen(self, wanted: ContainerSpecification) -> Inmate:
        """Be there for the container when it starts."""
        inmate = Inmate(wanted.name, self.ground.home.path / "channels" / wanted.channel)
        self.inmates.append(inmate)
        return inmate

    def start(self, wanted: ContainerSpecification) -> ContainerState:
        return self.ask(lambda client: client.start(wanted))

    def put(self, name: str, **changed: Any) -> Inmate:
        """A container that does what it is told."""
        wanted = self.specification(name, **changed)
        inmate = self.listen(wanted)
        self.start(wanted)
        return inmate

    def leave(self) -> None:
        for inmate in self.inmates:
            inmate.leave()
        self.inmates.clear()


def owned(folder: Path, owner: int) -> None:
    """A directory, and all that is made for it."""
    if not folder.exists():
        owned(folder.parent, owner)
        folder.mkdir(mode=0o755)
        os.chown(folder, owner, owner)


def owned_file(file: Path, content: str, owner: int = OWNER) -> None:
    file.write_text(content)
    os.chown(file, owner, owner)
