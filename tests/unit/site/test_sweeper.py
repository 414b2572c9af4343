"""What nobody needs goes, what somebody may need stays."""

import os
from collections import namedtuple
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from datacanal.site.places import Places
from datacanal.site.store.egress import Permission, Release
from datacanal.site.store.models import ExportRow, OutputRow
from datacanal.site.sweeper import Sweeper
from datacanal.testing.site_books import open_books

NOW = datetime(2030, 1, 1, tzinfo=UTC)
WHO = {"tenant": "local", "principal": "ana"}
Disk = namedtuple("Disk", "total used free")


class Attic:
    """A site's places with outputs in them."""

    def __init__(self, folder: Path) -> None:
        self.places = Places(folder)
        self.places.ensure()
        books = open_books(folder)
        self.work = books.work
        self._book = books.egress
        self.sweeper = Sweeper(self.places, self.work, lambda: NOW, total_timeout_s=3600)

    def output(self, name: str, job: str = "job_1", expires: timedelta = timedelta(hours=1)) -> Path:
        file = self.places.outputs / f"{name}.arrow"
        file.write_bytes(b"x")
        release = Release(
            **WHO,
            purpose=None,
            job=job,
            step=name,
            kind="result",
            receivers=(),
            plan_digest="p",
            digest=name,
            rows=1,
            bytes=1,
            columns=(),
            sources=(),
        )
        row = OutputRow(
            id=name,
            job=job,
            step=name,
            plan_digest="p",
            path=str(file),
            rows=1,
            bytes=1,
            digest=name,
            scanned_bytes=0,
            is_result=True,
            columns="[]",
            expires_ms=int((NOW + expires).timestamp() * 1000),
            **WHO,
        )
        self._book.release(release, Permission(), row, 0)
        return file

    def export(self, output: str) -> Path:
        file = self.places.outputs / f"{output}.export.csv"
        file.write_bytes(b"x")
        self.work.save_export(ExportRow(output=output, format="csv", path=str(file), bytes=1, digest="d", **WHO))
        return file

    def stray(self, folder: Path, age: timedelta) -> Path:
        file = folder / f"stray-{age.total_seconds():.0f}"
        file.write_bytes(b"x")
        then = datetime.now(UTC).timestamp() - age.total_seconds()
        os.utime(file, (then, then))
        return file


@pytest.fixture
def attic(tmp_path: Path) -> Attic:
    return Attic(tmp_path / "home")


def test_expired_outputs_go_with_their_exports_and_others_stay(attic: Attic) -> None:
    old, young = attic.output("old", expires=-timedelta(seconds=1)), attic.output("young")
    exports = [attic.export("old"), attic.export("young")]
    attic.sweeper.sweep()
    assert [file.exists() for file in (old, exports[0], young, exports[1])] == [False, False, True, True]
    assert attic.work.output("old") is None
    assert attic.work.export("old", "csv") is None


def test_dropping_a_job_deletes_all_that_is_kept_for_it_twice_if_asked(attic: Attic) -> None:
    mine, other = attic.output("mine"), attic.output("other", job="job_2")
    attic.sweeper.drop("job_1")
    attic.sweeper.drop("job_1")
    assert (mine.exists(), other.exists()) == (False, True)


def test_files_that_no_row_knows_go_once_no_job_can_be_writing_them(attic: Attic) -> None:
    old = [attic.stray(folder, timedelta(hours=2)) for folder in (attic.places.outputs, attic.places.inputs)]
    new = attic.stray(attic.places.outputs, timedelta(minutes=1))
    attic.sweeper.sweep()
    assert [file.exists() for file in old] == [False, False]
    assert new.exists()


def test_received_files_of_a_former_life_go_at_start(attic: Attic) -> None:
    left = attic.stray(attic.places.inputs, timedelta(0))
    attic.sweeper.empty_inputs()
    assert not left.exists()


def test_a_full_disk_costs_exports_but_no_results(attic: Attic, monkeypatch: pytest.MonkeyPatch) -> None:
    result, export = attic.output("kept"), attic.export("kept")
    monkeypatch.setattr("shutil.disk_usage", lambda _: Disk(10**9, 10**9, 0))
    attic.sweeper.sweep()
    assert (result.exists(), export.exists()) == (True, False)
    assert attic.work.export("kept", "csv") is None
