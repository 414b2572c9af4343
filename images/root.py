"""A minimal Debian root file system, made by debootstrap and freed of what an image does not need."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from images.apt import Mirror, proxy
from images.failures import CannotBuild
from images.logged import run_logged

_NOT_IN_AN_IMAGE = (
    "dev/*",
    "etc/apt/sources.list",
    "etc/hostname",
    "etc/resolv.conf",
    "root/.*",
    "usr/share/info",
    "usr/share/lintian",
    "usr/share/locale/*",
    "usr/share/man",
    "var/cache/apt/*",
    "var/cache/debconf/*-old",
    "var/lib/apt/lists/*",
    "var/log/*",
)
"""Caches, documentation, and what debootstrap wrote about this machine and its mirror."""

_PIECE_BYTES = 1 << 20


@dataclass(frozen=True)
class Recipe:
    """What the root is made of: a suite of Debian and packages beside the minimal ones."""

    suite: str
    packages: tuple[str, ...]


def read_recipe(file: Path) -> Recipe:
    """The recipe as it is written in the tree."""
    written = tomllib.loads(file.read_text(encoding="utf-8"))
    return Recipe(suite=written["suite"], packages=tuple(written["packages"]))


def check_machine() -> None:
    """Raises CannotBuild where a root cannot be made: debootstrap is missing, or we are not root."""
    if shutil.which("debootstrap") is None:
        raise CannotBuild(
            "There is no debootstrap on this machine, which makes the base image.",
            "Install the package debootstrap (apt-get install debootstrap), or name an image: BASE_IMAGE=…",
        )
    if os.geteuid() != 0:
        raise CannotBuild(
            "Making the base image needs root: debootstrap works in a chroot.",
            "Run `sudo make images`, or name an image that is there already: BASE_IMAGE=…",
        )


def command(recipe: Recipe, mirror: Mirror, folder: Path) -> list[str]:
    """How debootstrap is called. Its mounts live in a namespace of its own, so that nothing of them can stay."""
    own_mounts = ["unshare", "--mount", "--propagation", "private"]
    signed = [f"--keyring={mirror.keyring}"] if mirror.keyring else []
    trust = ["--no-check-gpg"] if mirror.trusted else signed
    chosen = ["--variant=minbase", f"--include={','.join(recipe.packages)}", *trust]
    return [*own_mounts, "debootstrap", *chosen, recipe.suite, str(folder), mirror.uri]


def make_root(recipe: Recipe, mirror: Mirror, folder: Path, log: Path) -> None:
    """Fills the folder; what debootstrap says goes to the log. Raises CannotBuild with its last lines."""
    via = {"http_proxy": proxy()} if proxy() else {}
    what = f"debootstrap of {recipe.suite} from {mirror.uri}"
    run_logged(command(recipe, mirror, folder), log, what, {**os.environ, **via})
    strip(folder)


def strip(folder: Path) -> None:
    """Removes what no container needs, and every setuid and setgid bit. Licences stay."""
    for pattern in _NOT_IN_AN_IMAGE:
        for path in folder.glob(pattern):
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    for path in folder.glob("usr/share/doc/**/*"):
        if path.name != "copyright" and not path.is_dir():
            path.unlink()
    for parent, _, names in os.walk(folder):
        for file in (Path(parent, name) for name in names):
            mode = file.lstat().st_mode
            if stat.S_ISREG(mode) and mode & (stat.S_ISUID | stat.S_ISGID):
                file.chmod(stat.S_IMODE(mode) & ~(stat.S_ISUID | stat.S_ISGID))


def archive(folder: Path) -> Iterator[bytes]:
    """A tar of the root in pieces, owners by number, in an order that does not change."""
    arguments = ["tar", "--create", "--numeric-owner", "--sort=name", "--xattrs", "--directory", str(folder), "."]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE) as process:
        out = cast("BinaryIO", process.stdout)
        yield from iter(lambda: out.read(_PIECE_BYTES), b"")
    if process.returncode:
        raise CannotBuild(f"tar of {folder} failed with code {process.returncode}.", "Its reason is above.")
