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


def run(action: str, name: str, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "compose", action, "--name", name, *options]
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


def test_jobs_over_two_sites_in_containers_work_and_their_walls_hold_until_somebody_breaks_one(
    docker_client: docker.DockerClient, name: str
) -> None:
    done = run("demo", name, "--keep")
    assert done.returncode == 0, done.stdout + done.stderr
    said = done.stdout
    assert said.index("A statement over both lakes") < said.index("A Python function at site core")
    assert "people → core: " in said
    assert "0 findings" in said
    for member in ("core/sql/worker", "people/sql/worker", "core-launcher", "client"):
        assert f"\n  {member} " in said

    break_a_wall(docker_client, name)
    looked = run("look", name)
    assert looked.returncode == 1, looked.stdout + looked.stderr
    assert "BROKEN: " in looked.stdout
    assert " opened datacanal-people-sql-1-scheduler" in looked.stdout

    assert run("down", name).returncode == 0
    assert left(docker_client, name) == []


def break_a_wall(client: docker.DockerClient, name: str) -> None:
    """The agent of one site gets a leg in the network of the other's pool."""
    with Project(name, os.environ) as project:
        [network] = [each for each in project.networks() if each.name.startswith("datacanal-people-sql.")]
        client.networks.get(network.id).connect(project.container("core").id)


def test_what_does_not_start_says_why_and_leaves_nothing(docker_client: docker.DockerClient, name: str) -> None:
    done = run("demo", name, DATACANAL_SCALE="a little")
    assert done.returncode == 2
    assert "DATACANAL_SCALE is 'a little'" in done.stderr
    assert left(docker_client, name) == []
