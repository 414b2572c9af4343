"""Wheels for the images, made ready on the host: what a build needs it is sent, for it has no network."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from images.digests import code_files, digest, of_files
from images.failures import CannotBuild
from images.locks import Pin, Target, as_requirements
from images.logged import run_logged

_CODE = ("pyproject.toml", "platform")
_OURS = (*_CODE, "README.md", "LICENSE")
"""What our own wheel is made of."""

_FIRST_OF_ZIP_S = 315_532_800  # a wheel is a zip file, whose time begins in 1980


def source_digest(tree: Path) -> str:
    """A name for the code that goes into our wheel; its description is no code."""
    given = [tree / name for name in _CODE]
    return of_files(tree, [file for each in given for file in (code_files(each) if each.is_dir() else [each])])


def download(pins: Sequence[Pin], target: Target, cache: Path) -> Path:
    """A folder with the wheels of these pins for the target and, in `packages.txt`, their hashes; fetched once."""
    wanted = as_requirements(pins)
    folder = cache / f"packages-{digest([wanted, *target.pip_options()])}"
    if folder.exists():
        return folder
    with tempfile.TemporaryDirectory(dir=cache) as scratch:
        made = Path(scratch, "made")
        made.mkdir()
        (made / "packages.txt").write_text(wanted)
        choice = ["--no-deps", "--require-hashes", "--only-binary", ":all:", *target.pip_options()]
        _pip("download", *choice, "--dest", str(made), "--requirement", str(made / "packages.txt"), log=cache)
        made.rename(folder)
    return folder


def own_wheel(tree: Path, cache: Path, epoch_s: int) -> Path:
    """A folder with the wheel of the tree's package and, in `packages.txt`, its hash; built when the code changed.

    It is built from a copy: setuptools takes modules that are long gone from a `build` folder that it finds.
    """
    folder = cache / f"own-{source_digest(tree)}"
    if folder.exists():
        return folder
    with tempfile.TemporaryDirectory(dir=cache) as scratch:
        copy, made = Path(scratch, "tree"), Path(scratch, "made")
        copy.mkdir()
        for name in _OURS:
            _copy(tree / name, copy / name)
        isolation = ["--no-deps", "--no-build-isolation", "--no-index"]
        _pip("wheel", *isolation, "--wheel-dir", str(made), str(copy), log=cache, epoch_s=epoch_s)
        wheel = next(made.glob("*.whl"))
        hashed = hashlib.sha256(wheel.read_bytes()).hexdigest()
        name, version, _ = wheel.name.split("-", 2)
        (made / "packages.txt").write_text(f"{name}=={version} --hash=sha256:{hashed}\n")
        made.rename(folder)
    return folder


def installer() -> Path:
    """This interpreter's own pip, a folder that any Python can run: it installs in a build and stays there."""
    found = importlib.util.find_spec("pip")
    if found is None or found.origin is None:
        raise CannotBuild("There is no pip beside this Python.", "Use the environment that `make install` makes.")
    return Path(found.origin).parent


def _pip(*arguments: str, log: Path, epoch_s: int = _FIRST_OF_ZIP_S) -> None:
    quiet = ["--disable-pip-version-check", "--no-input", "--progress-bar", "off"]
    command = [sys.executable, "-m", "pip", arguments[0], *quiet, *arguments[1:]]
    environment = {**os.environ, "SOURCE_DATE_EPOCH": str(max(epoch_s, _FIRST_OF_ZIP_S))}
    run_logged(command, log / f"pip-{arguments[0]}.log", f"pip {arguments[0]}", environment)


def _copy(source: Path, copy: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, copy, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    else:
        shutil.copy(source, copy)
