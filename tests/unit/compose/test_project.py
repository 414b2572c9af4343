"""Which compose a machine has, and what is said where there is none, or no engine within reach."""

from __future__ import annotations

from pathlib import Path

import pytest
from compose.failures import CannotRun
from compose.project import Project, compose_command


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder of programs."""
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def program(folder: Path, name: str, exit_code: int = 0) -> None:
    (folder / name).write_text(f"#!/bin/sh\nexit {exit_code}\n")
    (folder / name).chmod(0o755)


def test_the_engines_own_command_goes_first(programs: Path) -> None:
    program(programs, "docker")
    program(programs, "docker-compose")
    assert compose_command() == ["docker", "compose"]


def test_an_engine_without_it_leaves_the_program(programs: Path) -> None:
    program(programs, "docker", exit_code=1)
    program(programs, "docker-compose")
    assert compose_command() == ["docker-compose"]


def test_a_machine_with_neither_is_told_what_to_install(programs: Path) -> None:
    program(programs, "docker", exit_code=1)
    with pytest.raises(CannotRun, match="apt-get install docker-compose"):
        compose_command()


@pytest.mark.parametrize("engine", ["tcp://192.0.2.1:2375", "unix:///nowhere/docker.sock"])
def test_an_engine_that_is_not_at_a_socket_here_is_refused(programs: Path, engine: str) -> None:
    program(programs, "docker-compose")
    with pytest.raises(CannotRun, match="DOCKER_HOST"):
        Project("datacanal-test", {"DOCKER_HOST": engine})
