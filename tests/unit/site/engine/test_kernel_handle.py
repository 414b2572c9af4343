"""A kernel process as its worker holds it: its memory limit is the task's, whatever it ran before."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from datacanal.site.engine.kernel_handle import KernelHandle
from datacanal.site.engine.work import KernelSettings, Work
from datacanal.testing.tasks import statement_task

MIB = 2**20


@pytest.fixture
def handle(tmp_path: Path) -> Iterator[KernelHandle]:
    settings = KernelSettings(
        readable=[], scratch=str(tmp_path), spill=str(tmp_path / "spill"), spill_bytes=10**9,
        memory_bytes=1024 * MIB, threads=1,
    )  # fmt: skip
    handle = KernelHandle(settings)
    yield handle
    handle.bury()


def work(folder: Path, sql: str, kind: str, memory_bytes: int) -> Work:
    return Work(task=statement_task(sql, {"x": kind}, folder / "out.arrow"), memory_bytes=memory_bytes, threads=1)


def test_a_small_limit_after_a_large_task_is_not_used_up_before_it_begins(handle: KernelHandle, tmp_path: Path) -> None:
    large = "SELECT i::VARCHAR AS x FROM range(2000000) AS r(i) ORDER BY md5(i::VARCHAR)"
    assert handle.run(work(tmp_path, large, "VARCHAR", 1024 * MIB)).ok
    for _ in range(3):
        assert handle.run(work(tmp_path, "SELECT count(*) AS x FROM range(100000)", "BIGINT", 64 * MIB)).ok


def test_too_large_a_value_ends_as_out_of_memory(handle: KernelHandle, tmp_path: Path) -> None:
    sql = "SELECT length(repeat('x', 2000000000 + i::INTEGER)) AS x FROM range(2) AS r(i)"
    outcome = handle.run(work(tmp_path, sql, "BIGINT", 256 * MIB))
    assert not outcome.ok
    assert outcome.problem.code == "out_of_memory"
