"""Labels: version, commit and moment of what an image is made of."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from images.origin import SOURCE_LABEL, UNKNOWN, origin_of

GIT = shutil.which("git") or "git"
MOMENT_S = 1_700_000_000


def git(tree: Path, *arguments: str) -> str:
    who = ["-c", "user.name=nobody", "-c", "user.email=nobody@example.org"]
    dates = {"GIT_COMMITTER_DATE": f"{MOMENT_S} +0000", "PATH": "/usr/bin:/bin", "HOME": str(tree)}
    done = subprocess.run([GIT, "-C", tree, *who, *arguments], env=dates, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "pyproject.toml").write_text('[project]\nversion = "1.2.3"\n')
    return tmp_path


@pytest.fixture
def checkout(tree: Path) -> Path:
    git(tree, "init", "--quiet")
    git(tree, "add", ".")
    git(tree, "commit", "--quiet", "--message", "one")
    return tree


def test_a_clean_checkout_is_labelled_with_its_commit_and_the_moment_of_it(checkout: Path) -> None:
    labels = origin_of(checkout, "5eed", {}).labels("Datacanal worker")
    assert labels["org.opencontainers.image.title"] == "Datacanal worker"
    assert labels["org.opencontainers.image.version"] == "1.2.3"
    assert labels["org.opencontainers.image.revision"] == git(checkout, "rev-parse", "HEAD")
    assert labels["org.opencontainers.image.created"] == "2023-11-14T22:13:20+00:00"
    assert labels[SOURCE_LABEL] == "5eed"


@pytest.mark.parametrize(("file", "dirty"), [("pyproject.toml", True), ("platform/new.py", True), ("notes.txt", False)])
def test_a_change_of_what_goes_in_makes_it_dirty(checkout: Path, file: str, dirty: bool) -> None:
    (checkout / file).parent.mkdir(exist_ok=True)
    with (checkout / file).open("a") as opened:
        opened.write("\n# changed\n")
    assert origin_of(checkout, "", {}).revision.endswith("-dirty") is dirty


def test_outside_a_checkout_the_revision_is_unknown_and_the_moment_can_be_given(tree: Path) -> None:
    origin = origin_of(tree, "", {"SOURCE_DATE_EPOCH": str(MOMENT_S)})
    assert (origin.revision, origin.epoch_s) == (UNKNOWN, MOMENT_S)
