"""Budgets are exact: under many jobs at once, over attempts, and however often the agent is killed."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from datacanal.domain.errors import BudgetExceeded, QueryBudgetExceeded
from datacanal.protocol.plan import PlanColumn
from datacanal.site.keys import load_keys
from datacanal.site.policy import Allowance
from datacanal.site.record.verifying import Verifier
from datacanal.site.store.egress import Charge, Permission, QueryCharge, Release
from datacanal.site.store.models import OutputRow
from datacanal.testing.site_books import SiteBooks, open_books

DAY = "2030-05-01"
RELEASE = Release(
    tenant="local",
    principal="ana",
    purpose="fraud",
    job="job_1",
    step="s1",
    kind="result",
    receivers=("ana",),
    plan_digest="p",
    digest="d",
    rows=10,
    bytes=1000,
    columns=(PlanColumn(name="a", type="INTEGER"),),
    sources=(),
)
CHARGE = Charge("t", "user_day", "local/ana", DAY, Allowance())


def output(release: Release) -> OutputRow:
    return OutputRow(
        id=f"out_{release.job}",
        job=release.job,
        step=release.step,
        plan_digest="p",
        path="x",
        rows=release.rows,
        bytes=release.bytes,
        digest=release.digest,
        scanned_bytes=0,
        is_result=True,
        columns="[]",
        expires_ms=0,
        tenant="local",
        principal="ana",
    )


def permission(rows: int, queries: int = 1_000_000) -> Permission:
    return Permission(
        (replace(CHARGE, allowance=Allowance(rows=rows)),), {"t": "d"}, (QueryCharge("t", "payments", DAY, queries),)
    )


def out(books: SiteBooks, release: Release, allowed: Permission) -> None:
    books.egress.release(release, allowed, output(release), 0)


def used(home: Path) -> dict[str, tuple[int, int]]:
    """Rows and queries per budget, as they stand in the file."""
    with sqlite3.connect(home / "site.db") as store:
        found = {budget: (rows, queries) for budget, rows, queries in store.execute(
            "SELECT budget, rows, queries FROM budget_use"
        )}  # fmt: skip
    store.close()
    return found


def verified(home: Path) -> int:
    return Verifier("core", load_keys(home, os.urandom).public, home / "site.db", home).verify().count


def test_32_jobs_at_once_use_a_budget_up_to_the_last_row_and_no_further(tmp_path: Path) -> None:
    books = open_books(tmp_path)
    start = threading.Barrier(32)
    refused: list[Exception] = []

    def job(number: int) -> None:
        release = replace(RELEASE, job=f"job_{number}")
        start.wait()
        for _ in range(3):
            try:
                out(books, release, permission(rows=205))
            except BudgetExceeded as error:
                refused.append(error)

    threads = [threading.Thread(target=job, args=(number,)) for number in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    released = {found.entry.job for found in books.record.entries() if found.entry.decision == "released"}
    assert len(released) == 20
    assert len(refused) == 12 * 3
    assert used(tmp_path) == {"user_day": (200, 0), "aggregate_day": (0, 20)}
    assert verified(tmp_path) == 20
    books.close()


def test_aggregate_queries_are_counted_per_dataset_and_day_and_once_per_release(tmp_path: Path) -> None:
    books = open_books(tmp_path)
    for _ in range(3):
        out(books, RELEASE, permission(rows=100, queries=2))
    out(books, replace(RELEASE, job="job_2"), permission(rows=100, queries=2))
    third = replace(RELEASE, job="job_3")
    with pytest.raises(QueryBudgetExceeded, match=r"2 aggregate queries a day over t\.payments"):
        out(books, third, permission(rows=100, queries=2))
    assert used(tmp_path)["user_day"] == (20, 0)
    tomorrow = Permission((), {}, (QueryCharge("t", "payments", "2030-05-02", 2),))
    out(books, third, tomorrow)
    books.close()


# ---------------------------------------------------------------- killed


def test_a_release_that_is_killed_is_whole_or_not_there_and_charged_once(tmp_path: Path) -> None:
    told = subprocess.run([sys.executable, __file__, str(tmp_path)], capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr
    kills = json.loads(told.stdout)
    assert len(kills) > 30
    assert {kill["whole"] for kill in kills} == {True}
    assert {kill["released"] for kill in kills} >= {0, 1}
    rows = 10 * len(kills)
    assert used(tmp_path)["user_day"] == (rows, 0)
    assert used(tmp_path)["aggregate_day"][1] == len(kills)
    assert verified(tmp_path) == len(kills)


def _kill_at_every_third_line(home: Path) -> list[dict[str, Any]]:
    """A job per third line of the code that writes a release: killed there, then tried again as a lost attempt is."""
    books = open_books(home)
    books.close()  # no connection may be open when this process is copied; each child opens its own
    kills: list[dict[str, Any]] = []
    killed = True
    while killed:
        killed = _in_child(books, again=f"job_{len(kills) - 1}", job=f"job_{len(kills)}", line=1 + 3 * len(kills))
        kills.append({"released": _released(home, f"job_{len(kills)}"), "whole": _is_whole(home, len(kills))})
    return kills


def _in_child(books: SiteBooks, again: str, job: str, line: int) -> bool:
    """Whether it was killed at that line of the job's release; before it, the one before is tried again."""
    child = os.fork()
    if child == 0:
        if again != "job_-1":
            out(books, replace(RELEASE, job=again), permission(rows=1_000_000))
        sys.settrace(_killer(line))
        out(books, replace(RELEASE, job=job), permission(rows=1_000_000))
        os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def _killer(line: int) -> Any:
    lines = iter(range(1, 1_000_000))

    def trace(frame: FrameType, event: str, _: object) -> Any:
        if not frame.f_code.co_filename.endswith(("store/egress.py", "record/book.py", "record/head.py")):
            return None
        if event == "line" and next(lines) == line:
            os.kill(os.getpid(), signal.SIGKILL)
        return trace

    return trace


def _released(home: Path, job: str) -> int:
    with sqlite3.connect(home / "site.db") as store:
        (count,) = store.execute("SELECT count(*) FROM record WHERE job = ?", (job,)).fetchone()
    store.close()
    return int(count)


def _is_whole(home: Path, before: int) -> bool:
    """Entries, charges and outputs agree, and the record holds."""
    with sqlite3.connect(home / "site.db") as store:
        (outputs,) = store.execute("SELECT count(*) FROM outputs").fetchone()
    store.close()
    count = verified(home)
    charged = used(home).get("user_day", (0, 0))[0]
    return outputs == count and charged == 10 * count and count - before in (0, 1)


if __name__ == "__main__":
    print(json.dumps(_kill_at_every_third_line(Path(sys.argv[1]))))  # noqa: T201  # the test reads it
