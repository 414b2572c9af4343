"""A stage holds exactly the snapshot's files and the received streams; the lake stays as it was."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

import pytest

from datacanal.domain.errors import OutOfDisk, SnapshotChanged
from datacanal.site.engine.etag import etag_of
from datacanal.site.engine.python_task import GivenTable
from datacanal.site.engine.specification import ParquetFile
from datacanal.site.fleet.stages import StagedDataset, StagedStream, fill_stage, make_stage, remove_stage


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    file = tmp_path / "lake" / "payments" / "year=1997" / "a.parquet"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"rows" * 1000)
    (file.parent / "undeclared.parquet").write_bytes(b"other rows")
    return tmp_path / "lake"


def dataset(lake: Path) -> StagedDataset:
    file = lake / "payments" / "year=1997" / "a.parquet"
    table = GivenTable(
        kind="dataset",
        name="transactions.payments",
        format="parquet",
        files=["0/year=1997/a.parquet"],
        columns=[],
        partitions={"year": "BIGINT"},
    )
    return StagedDataset(table, [ParquetFile(path=str(file), etag=etag_of(file.stat()))], [str(lake)])


def stream(tmp_path: Path) -> StagedStream:
    file = tmp_path / "received"
    file.write_bytes(b"stream")
    return StagedStream(GivenTable(kind="input", name="people", format="arrow", files=["1.arrow"], columns=[]), file)


def test_a_stage_holds_what_the_job_was_given_and_nothing_else(tmp_path: Path, lake: Path) -> None:
    stage = tmp_path / "stages" / "s"
    make_stage(stage)
    fill_stage(stage, [dataset(lake), stream(tmp_path)])
    found = {str(path.relative_to(stage)): path.read_bytes() for path in stage.rglob("*") if path.is_file()}
    assert found == {"0/year=1997/a.parquet": b"rows" * 1000, "1.arrow": b"stream"}


def test_the_lakes_files_keep_their_etags(tmp_path: Path, lake: Path) -> None:
    file = lake / "payments" / "year=1997" / "a.parquet"
    before = etag_of(file.stat())
    make_stage(tmp_path / "s")
    fill_stage(tmp_path / "s", [dataset(lake)])
    assert etag_of(file.stat()) == before


def test_a_file_that_changed_since_its_snapshot_is_not_staged(tmp_path: Path, lake: Path) -> None:
    staged = dataset(lake)
    (lake / "payments" / "year=1997" / "a.parquet").write_bytes(b"newer")
    make_stage(tmp_path / "s")
    with pytest.raises(SnapshotChanged, match=r"payments/year=1997/a\.parquet"):
        fill_stage(tmp_path / "s", [staged])


def test_a_full_disk_is_said(tmp_path: Path, lake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shutil, "copyfileobj", full)
    make_stage(tmp_path / "s")
    with pytest.raises(OutOfDisk, match="no room for what the function reads"):
        fill_stage(tmp_path / "s", [dataset(lake)])


def test_a_stage_is_empty_whatever_was_there(tmp_path: Path) -> None:
    stage = tmp_path / "s"
    stage.mkdir()
    (stage / "left").write_bytes(b"of an earlier boot")
    make_stage(stage)
    assert list(stage.iterdir()) == []
    assert stage.stat().st_mode & 0o777 == 0o755
    remove_stage(stage)
    remove_stage(stage)
    assert not stage.exists()
