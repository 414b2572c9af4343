"""Output files appear whole or not at all."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from datacanal.domain.errors import OutputTooLarge
from datacanal.site.engine.output import OutputFile


def test_an_output_has_its_name_only_once_it_is_committed(tmp_path: Path) -> None:
    path = tmp_path / "out"
    with OutputFile(path, None) as output:
        output.write(b"hello ")
        output.write(memoryview(b"world"))
        assert not path.exists()
        output.commit()
    assert path.read_bytes() == b"hello world"
    assert (output.bytes, output.digest) == (11, hashlib.sha256(b"hello world").hexdigest())


def test_an_output_that_was_left_leaves_nothing(tmp_path: Path) -> None:
    with OutputFile(tmp_path / "out", None) as output:
        output.write(b"hello")
    assert list(tmp_path.iterdir()) == []


def test_a_limit_holds_to_the_byte_and_is_remembered(tmp_path: Path) -> None:
    with OutputFile(tmp_path / "out", 5) as output:
        output.write(b"hello")
        with pytest.raises(OutputTooLarge):
            output.write(b"!")
        assert isinstance(output.failure, OutputTooLarge)


def test_a_full_device_is_remembered_as_such(tmp_path: Path) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("no /dev/full here")
    (tmp_path / "out.tmp").symlink_to(full)
    with OutputFile(tmp_path / "out", None) as output:
        with pytest.raises(OSError, match="space"):
            output.write(bytes(2**20))
        assert isinstance(output.failure, OSError)
