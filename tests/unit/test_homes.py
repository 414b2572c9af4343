"""Homes: one process at a time, secrets whole and private."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from datacanal.domain.errors import AlreadyRunning
from datacanal.homes import only_one, write_secret


def test_a_home_has_one_holder_of_each_lock_at_a_time(tmp_path: Path) -> None:
    home = tmp_path / "new" / "home"
    with only_one(home, "up.lock"):
        with pytest.raises(AlreadyRunning), only_one(home, "up.lock"):
            pass
        with only_one(home, "agent.lock"):
            pass
    with only_one(home, "up.lock"):
        pass


def test_a_failure_under_the_lock_frees_it(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="disk"), only_one(tmp_path, "up.lock"):
        raise BlockingIOError("the disk")
    with only_one(tmp_path, "up.lock"):
        pass


def test_a_secret_is_its_owner_s_alone_and_replaces_what_was_there(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_bytes(b"old")
    file.chmod(0o644)
    (tmp_path / ".token.new").write_bytes(b"left by a crash")
    write_secret(file, b"new")
    assert file.read_bytes() == b"new"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["token"]
