"""The builder's process: what it gives, and what is left when it is killed at any moment."""

import asyncio
import signal
import subprocess
import sys
from pathlib import Path

import duckdb
import psutil
import pytest

from datacanal.domain.errors import BadField
from datacanal.domain.product_errors import BuildFailed, BuildOutOfMemory
from datacanal.products.builder import Builder
from datacanal.products.building.orders import Assignment, BuildOrder, Built, CheckOrder
from datacanal.products.building.writing import build
from datacanal.products.manifest import BY_KEY, Manifest, snapshot_folder
from datacanal.protocol.products import Contract
from datacanal.testing.builds import MADE_AT, MEMORY_BYTES, build_order, connection_for

CONTRACT = Contract(key=["k"], session="day")
ROWS = "SELECT i AS k, DATE '2024-01-01' + (i % 9)::INTEGER AS day, random() AS v FROM range(20000) t(i)"
MANY = "SELECT hash(i) AS k, DATE '2024-01-01' + (i % 9)::INTEGER AS day, random() AS v FROM range(2000000) t(i)"

DYING = """
import os, signal, sys
from datacanal.products.building.__main__ import main
left = int(sys.argv[1])
def count(event, arguments):
    global left
    if arguments and ".tmp" in str(arguments[0]):
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(count)
main()
"""
"""The builder's main, killed before the n-th thing that Python does to a file of the unfinished snapshot."""


def builder(home: Path, memory_bytes: int = MEMORY_BYTES) -> Builder:
    return Builder(home / "scratch", memory_bytes)


def folder_of(order: BuildOrder) -> Path:
    return snapshot_folder(order.store, order.product, order.snapshot)


def undisturbed(home: Path, order: BuildOrder) -> Manifest:
    """The same order's manifest, built elsewhere."""
    with connection_for(home) as connection:
        return build(order.model_copy(update={"store": home / "elsewhere"}), connection).manifest


def dies_at(home: Path, order: BuildOrder, moment: int) -> bool:
    """Whether the builder got that far at all."""
    assignment = Assignment(order=order, memory_bytes=MEMORY_BYTES, threads=1, spill=home / "spill")
    command = [sys.executable, "-c", DYING, str(moment)]
    line = assignment.model_dump_json().encode() + b"\n"
    done = subprocess.run(command, input=line, capture_output=True, timeout=60, check=False)
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return done.returncode != 0


def test_an_order_is_carried_out_and_leaves_no_scratch(tmp_path: Path) -> None:
    order = build_order(tmp_path, ROWS, CONTRACT)
    built = asyncio.run(builder(tmp_path).build(order))
    assert built.manifest == undisturbed(tmp_path, order)
    assert list((tmp_path / "scratch").iterdir()) == []


async def all_four(home: Path) -> None:
    this = builder(home)
    orders = [build_order(home, ROWS, CONTRACT, snapshot) for snapshot in ("snp_1", "snp_2")]
    old, new = [folder_of(order) for order in orders]
    await asyncio.gather(*(this.build(order) for order in orders))
    report = await this.check(CheckOrder(folder=new, contract=CONTRACT, now=MADE_AT, against=old, queries=["k=1"]))
    assert [each.outcome for each in report.checks] == ["passed", "passed", "skipped", "passed", "skipped", "held"]
    compared = await this.compare(old, new)
    assert (compared.diff.changed, compared.rows, compared.keys) == (20000, 20000, 20000)
    replayed = await this.replay(old, new, ["k=1", "k=2"])
    assert (len(replayed.broken), replayed.replayed) == (2, 2)


def test_snapshots_are_built_checked_compared_and_replayed(tmp_path: Path) -> None:
    asyncio.run(all_four(tmp_path))


def test_a_refusal_arrives_as_what_it_was(tmp_path: Path) -> None:
    order = build_order(tmp_path, "SELECT 1 AS x", Contract(key=["k"]))
    with pytest.raises(BadField, match="the result has no column 'k'; it has x"):
        asyncio.run(builder(tmp_path).build(order))


def test_too_little_memory_is_told_as_that(tmp_path: Path) -> None:
    order = build_order(tmp_path, MANY, CONTRACT)
    with pytest.raises(BuildOutOfMemory) as caught:
        asyncio.run(builder(tmp_path, 4 * 2**20).build(order))
    assert caught.value.detail == "The snapshot needs more memory than the 4194304 bytes that a builder has."


WIDE = f"SELECT {', '.join(f'hash(i + {place}) AS c{place}' for place in range(100))} FROM range(150000) t(i)"


def test_what_several_threads_have_too_little_memory_for_one_may_do(tmp_path: Path) -> None:
    order = build_order(tmp_path, WIDE, Contract(key=["c0"]))
    little = 400 * 2**20
    with connection_for(tmp_path, memory_bytes=little) as connection, pytest.raises(duckdb.OutOfMemoryException):
        build(order, connection)
    assert asyncio.run(builder(tmp_path, little).build(order)).manifest.rows == 150000


class UnreadableFile:
    """A result that is no Parquet file."""

    def __init__(self, home: Path) -> None:
        self.order = build_order(home, ROWS, CONTRACT)
        self.order.source.write_bytes(b"PAR1 not at all PAR1")


class MissingSnapshot:
    """A snapshot that was removed under the one who asks about it."""

    def __init__(self, home: Path) -> None:
        self.order = CheckOrder(folder=home / "gone", contract=CONTRACT, now=MADE_AT)


def test_a_file_that_cannot_be_read_fails_the_build_without_its_words(tmp_path: Path) -> None:
    with pytest.raises(BuildFailed) as caught:
        asyncio.run(builder(tmp_path).build(UnreadableFile(tmp_path).order))
    assert str(tmp_path) not in caught.value.detail


def test_a_snapshot_that_is_gone_fails_the_check(tmp_path: Path) -> None:
    with pytest.raises(BuildFailed, match="FileNotFoundError"):
        asyncio.run(builder(tmp_path).check(MissingSnapshot(tmp_path).order))


# ---------------------------------------------------------------- death


def test_killed_before_anything_it_does_it_leaves_no_snapshot_and_the_next_build_makes_it(tmp_path: Path) -> None:
    order, moment = build_order(tmp_path, ROWS, CONTRACT), 1
    expected = undisturbed(tmp_path, order)
    while dies_at(tmp_path, order, moment):
        assert not folder_of(order).exists(), f"a snapshot was there at the moment {moment}"
        moment += 1
    assert moment > 8
    assert asyncio.run(builder(tmp_path).build(order)).manifest == expected
    assert [each.name for each in folder_of(order).parent.iterdir()] == [order.snapshot]


async def while_it_sorts(home: Path, order: BuildOrder) -> tuple["asyncio.Task[Built]", psutil.Process]:
    """A build whose first layout's file is there, and its process."""
    others = set(psutil.Process().children())
    task = asyncio.create_task(builder(home).build(order))
    file = folder_of(order).with_name(f"{order.snapshot}.tmp") / BY_KEY
    while not file.exists():  # noqa: ASYNC110  # another process makes it, and tells nobody
        await asyncio.sleep(0.001)
    (child,) = set(psutil.Process().children()) - others
    return task, child


async def killed_while_it_sorts(home: Path, order: BuildOrder) -> None:
    task, child = await while_it_sorts(home, order)
    child.kill()
    with pytest.raises(BuildFailed, match="its process was ended by signal 9"):
        await task
    assert not folder_of(order).exists()
    assert list((home / "scratch").iterdir()) == []


def test_killed_while_it_sorts_it_leaves_no_snapshot_and_the_next_build_makes_it(tmp_path: Path) -> None:
    order = build_order(tmp_path, MANY, CONTRACT)
    asyncio.run(killed_while_it_sorts(tmp_path, order))
    assert asyncio.run(builder(tmp_path).build(order)).manifest == undisturbed(tmp_path, order)


async def cancelled_while_it_sorts(home: Path, order: BuildOrder) -> psutil.Process:
    task, child = await while_it_sorts(home, order)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    return child


def test_whoever_is_cancelled_takes_the_process_along(tmp_path: Path) -> None:
    order = build_order(tmp_path, MANY, CONTRACT)
    child = asyncio.run(cancelled_while_it_sorts(tmp_path, order))
    assert not child.is_running()
    assert not folder_of(order).exists()


def test_clearing_removes_what_an_earlier_process_left(tmp_path: Path) -> None:
    (tmp_path / "scratch" / "tmpabc").mkdir(parents=True)
    builder(tmp_path).clear()
    assert not (tmp_path / "scratch").exists()
