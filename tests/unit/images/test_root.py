"""The base image's root: how debootstrap is called, what is taken out, and which machines cannot make one."""

from __future__ import annotations

import io
import os
import stat
import tarfile
from pathlib import Path

import pytest
from images.apt import Mirror
from images.failures import CannotBuild
from images.logged import run_logged
from images.root import Recipe, archive, check_machine, command, read_recipe, strip

ROOT = Path(__file__).parents[3]
RECIPE = Recipe("bookworm", ("python3", "ca-certificates"))
GONE = (
    "etc/apt/sources.list",
    "etc/resolv.conf",
    "etc/hostname",
    "usr/share/doc/python3/README",
    "usr/share/locale/de/LC_MESSAGES/x.mo",
    "usr/share/man/man1/ls.1.gz",
    "var/cache/apt/archives/python3.deb",
    "var/lib/apt/lists/mirror_Packages",
    "var/log/bootstrap.log",
)
STAYS = ("usr/bin/python3", "usr/share/doc/python3/copyright", "usr/lib/locale/C.utf8/LC_CTYPE", "var/lib/dpkg/status")


def test_debootstrap_checks_the_signatures_of_the_machines_own_mirror() -> None:
    called = command(RECIPE, Mirror("http://a/debian", "bookworm", ("main",), "/k.gpg"), Path("/root"))
    assert called[-3:] == ["bookworm", "/root", "http://a/debian"]
    assert {"--variant=minbase", "--include=python3,ca-certificates", "--keyring=/k.gpg"} < set(called)
    assert "--no-check-gpg" not in called


def test_only_a_mirror_that_apt_trusts_unsigned_is_not_checked() -> None:
    called = command(RECIPE, Mirror("file:/srv", "bookworm", ("main",), trusted=True), Path("/root"))
    assert "--no-check-gpg" in called


def test_caches_documents_and_what_names_this_machine_are_taken_out_and_licences_stay(tmp_path: Path) -> None:
    for name in (*GONE, *STAYS):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    strip(tmp_path)
    assert [name for name in GONE if (tmp_path / name).exists()] == []
    assert [name for name in STAYS if not (tmp_path / name).exists()] == []


def test_no_file_keeps_a_bit_that_makes_its_runner_somebody_else(tmp_path: Path) -> None:
    program = tmp_path / "usr" / "bin" / "su"
    program.parent.mkdir(parents=True)
    program.touch()
    program.chmod(0o6755)
    strip(tmp_path)
    assert stat.S_IMODE(program.stat().st_mode) == 0o755


def test_the_root_is_packed_with_everything_in_it(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "passwd").write_text("root:x:0:0")
    (tmp_path / "bin").symlink_to("usr/bin")
    with tarfile.open(fileobj=io.BytesIO(b"".join(archive(tmp_path)))) as tar:
        assert sorted(tar.getnames()) == [".", "./bin", "./etc", "./etc/passwd"]


def test_the_recipe_of_the_tree_has_python_and_no_compiler() -> None:
    recipe = read_recipe(ROOT / "images" / "base" / "recipe.toml")
    assert "python3" in recipe.packages
    assert not {"gcc", "build-essential", "make"} & set(recipe.packages)


def test_a_machine_without_debootstrap_is_told_its_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CannotBuild, match="debootstrap") as caught:
        check_machine()
    assert "apt-get install debootstrap" in caught.value.remedy


def test_whoever_is_not_root_is_told_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "debootstrap").touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(CannotBuild, match="needs root"):
        check_machine()


def test_a_program_that_fails_is_told_with_its_last_words(tmp_path: Path) -> None:
    program = ["sh", "-c", "echo reading; echo no space left >&2; exit 3"]
    with pytest.raises(CannotBuild, match="packing failed with code 3") as caught:
        run_logged(program, tmp_path / "log", "packing", os.environ)
    assert "no space left" in caught.value.what
    assert str(tmp_path / "log") in caught.value.remedy
