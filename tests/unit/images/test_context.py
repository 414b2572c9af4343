"""What a build is sent: exactly what it was given, with owners and times that do not depend on the machine."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

from images.context import Part, write_context


def packed(**parts: Part) -> bytes:
    out = io.BytesIO()
    write_context(parts, out)
    return out.getvalue()


def contents(tar: bytes) -> dict[str, bytes | None]:
    with tarfile.open(fileobj=io.BytesIO(tar)) as opened:
        members = {member.name: opened.extractfile(member) for member in opened.getmembers()}
        return {name: file.read() if file else None for name, file in members.items()}


def test_bytes_files_and_folders_are_sent_under_the_names_given(tmp_path: Path) -> None:
    (tmp_path / "folder" / "deep").mkdir(parents=True)
    (tmp_path / "folder" / "deep" / "one").write_text("1")
    (tmp_path / "file").write_text("2")
    sent = packed(Dockerfile=b"FROM scratch", wheels=tmp_path / "folder", lock=tmp_path / "file")
    assert contents(sent) == {"Dockerfile": b"FROM scratch", "lock": b"2", "wheels": None, "wheels/deep/one": b"1"}


def test_an_empty_folder_is_sent_so_that_it_can_be_copied(tmp_path: Path) -> None:
    assert contents(packed(authorities=tmp_path)) == {"authorities": None}


def test_times_owners_and_modes_of_this_machine_are_not_sent(tmp_path: Path) -> None:
    file = tmp_path / "secretive"
    file.write_text("x")
    before = packed(folder=tmp_path)
    file.chmod(0o600)
    os.utime(file, (1, 1))
    assert packed(folder=tmp_path) == before
    with tarfile.open(fileobj=io.BytesIO(before)) as opened:
        assert {(member.uid, member.gid, member.mtime) for member in opened.getmembers()} == {(0, 0, 0)}
