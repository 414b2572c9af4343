"""`.ci/node` on machines that have Node.js, an old one, or none and nobody who may install it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOOLS = ("bash", "env")


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A folder that is the whole PATH; its user is nobody in particular."""
    for tool in TOOLS:
        (tmp_path / tool).symlink_to(f"/usr/bin/{tool}")
    program(tmp_path, "id", "echo 1000")
    return tmp_path


def program(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{text}\n")
    (folder / name).chmod(0o755)


def run(machine: Path) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": str(machine)}
    return subprocess.run([ROOT / ".ci" / "node"], env=environment, capture_output=True, text=True, check=False)


def test_what_is_there_is_used(machine: Path) -> None:
    program(machine, "node", "echo v18.20.4")
    program(machine, "npm", "")
    done = run(machine)
    assert (done.returncode, done.stdout) == (0, "Node.js v18.20.4\n")


def test_an_old_one_is_named(machine: Path) -> None:
    program(machine, "node", "echo v12.22.9")
    program(machine, "npm", "")
    done = run(machine)
    assert done.returncode == 2
    assert "v12.22.9 is too old: 18" in done.stderr


def test_without_the_right_to_install_it_says_what_is_missing(machine: Path) -> None:
    done = run(machine)
    assert done.returncode == 2
    assert "nodejs npm" in done.stderr
