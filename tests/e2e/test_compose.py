"""`python -m compose demo`: both sites as containers of compose.yaml, jobs over both, the walls, and nothing left."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from collections.abc import Iterator

import docker
import pytest
from compose.failures import CannotRun
from compose.project import Project, compose_command
from tests.image_names import SERVER, WORKER
from tests.plugins.engine import ROOT

pytestmark = [pytest.mark.docker(SERVER, WORKER), pytest.mark.timeout(400)]


@pytest.fixture(scope="module", autouse=True)
def compose_is_here() -> None:
    try:
        compose_command()
    except CannotRun as failure:
        pytest.skip(f"{failure.what} {failure.remedy}")


@pytest.fixture
def name() -> Iterator[str]:
    """Of a project; whatever a failed test left of it is gone afterwards."""
    chosen = f"datacanal-test-{secrets.token_hex(4)}"
    yield chosen
    with Project(chosen, os.environ) as project:
        project.down()


def demo(name: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "compose", "demo", "--name", name]
    return subprocess.run(
        command, cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )


def left(client: docker.DockerClient, name: str) -> list[str]:
    found = [
        *client.containers.list(all=True, filters={"name": name}),
        *client.networks.list(filters={"name": name}),
        *client.volumes.list(filters={"name": name}),
    ]
    return [each.name for each in found]


def test_jobs_over_two_sites_in_containers_work_and_the_walls_between_them_hold(
    docker_client: docker.DockerClient, name: str
) -> None:
    done = demo(name)
    assert done.returncode == 0, done.stdout + done.stderr
    said = done.stdout
    assert said.index("A statement over both lakes") < said.index("A Python function at site core")
    assert "people → core: " in said
    assert "0 findings" in said
    for member in ("core/sql/worker", "people/sql/worker", "core-launcher", "client"):
        assert f"\n  {member} " in said
    assert left(docker_client, name) == []


def test_what_does_not_start_says_why_and_leaves_nothing(docker_client: docker.DockerClient, name: str) -> None:
    done = demo(name, DATACANAL_SCALE="a little")
    assert done.returncode == 2
    assert "core-prepare" in done.stderr or "people-prepare" in done.stderr
    assert left(docker_client, name) == []
