"""Python jobs in containers, as those tests need them that attack from inside."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from docker.models.containers import Container
from tests.launching import Boxes

from datacanal.client import Client
from datacanal.client.job import Job

ONE = {"n": "INTEGER"}
CALM_S = 20.0
_JOB_ROLES = ("driver", "job_scheduler", "job_worker")
_LISTENING = "0A"


def sent(
    client: Client,
    function: Callable[..., Any],
    columns: Mapping[str, str] | None = None,
    *,
    params: Mapping[str, Any] | None = None,
    **terms: Any,
) -> Job:
    """The function as a job of the site core, with no worker and 512 MiB unless the terms say otherwise."""
    wanted = {"site": "core", "columns": columns or ONE, "workers": 0, "memory": "512MiB", **terms}
    return client.submit(client.job(**wanted)(function), **(params or {}))


def of_jobs(boxes: Boxes) -> list[Container]:
    """The containers of Python jobs."""
    return [container for role in _JOB_ROLES for container in boxes.containers(role)]


def left_of_jobs(boxes: Boxes) -> list[str]:
    """Those that are still there after a while."""
    until = time.monotonic() + CALM_S
    while (left := of_jobs(boxes)) and time.monotonic() < until:
        time.sleep(0.2)
    return [str(container.name) for container in left]


def listener(container: Container) -> tuple[str, int]:
    """Its own address and the port that somebody in it listens on."""
    container.reload()
    [network] = container.attrs["NetworkSettings"]["Networks"].values()
    lines = container.exec_run(["cat", "/proc/net/tcp"]).output.decode().splitlines()[1:]
    # The engine's name server listens in every container, on the loopback.
    ports = [
        int(place.split(":")[1], 16)
        for _, place, _, state, *_ in map(str.split, lines)
        if state == _LISTENING and not place.startswith("0B00007F")
    ]
    return str(network["IPAddress"]), ports[0]
