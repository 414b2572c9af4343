"""`.ci/postgres` on machines that have PostgreSQL, an old one, or none and nobody who may install it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOOLS = ("bash", "env", "basename", "sort", "tail")


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A folder that is the whole PATH; its user is nobody in particular."""
    for tool in TOOLS:
        (tmp_path / tool).symlink_to(f"/usr/bin/{tool}")
    program(tmp_path / "id", "echo 1000")
    return tmp_path


def program(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(0o755)


def run(machine: Path) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": str(machine), "POSTGRES_PROGRAMS": str(machine / "programs")}
    return subprocess.run([ROOT / ".ci" / "postgres"], env=environment, capture_output=True, text=True, check=False)


def test_the_newest_that_is_there_is_used(machine: Path) -> None:
    for version in ("9", "15", "17"):
        program(machine / "programs" / version / "bin" / "initdb", "")
    done = run(machine)
    assert (done.returncode, done.stdout) == (0, "PostgreSQL 17\n")


def test_an_old_one_is_named(machine: Path) -> None:
    program(machine / "programs" / "13" / "bin" / "initdb", "")
    done = run(machine)
    assert done.returncode == 2
    assert "13 is too old: 15" in done.stderr


def test_without_the_right_to_install_it_says_what_is_missing(machine: Path) -> None:
    done = run(machine)
    assert done.returncode == 2
    assert "missing: postgresql" in done.stderr
