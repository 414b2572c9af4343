"""The pool of binder processes: answers like a binder, ends what takes too long, too much, or dies."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator

import psutil
import pytest

from datacanal.control.binders import BinderPool
from datacanal.domain.errors import ColumnNotFound, PlanningTooExpensive
from datacanal.planning.binding import BindRequest, BoundTable, NamedType, Question
from datacanal.planning.catalogue import Catalogue
from datacanal.planning.compiler import compile_statement

NOW = "2026-01-02T03:04:05+00:00"
TABLE = BoundTable(occurrence="occ0", lake="l", dataset="d", columns=[NamedType(name="a", type="INTEGER")])
# Folding this while binding takes far longer than any deadline here.
SLOW = "SELECT list_sum(list_transform(range(2000), lambda x: list_sum(list_transform(range(20000), lambda y: x * y))))"


def request(sql: str) -> BindRequest:
    return BindRequest(tables=[TABLE], questions=[Question(sql=sql)], now=NOW, prefix="c")


@pytest.fixture(scope="module")
def pool() -> Iterator[BinderPool]:
    pool = BinderPool(size=2, deadline_s=30)
    pool.start()
    yield pool
    pool.stop()


def test_it_answers_as_a_binder(pool: BinderPool) -> None:
    tree = pool.parse("SELECT a FROM occ0.l.d WHERE a > 3")
    printed = pool.print_checked(tree)
    binding = pool.bind(request(printed))[0]
    assert [(column.name, column.type) for column in binding.columns] == [("a", "INTEGER")]
    assert "cocc0_0 > 3" in str(binding.plan)
    assert pool.kernel


def test_refusals_arrive_with_their_own_class_and_data(pool: BinderPool) -> None:
    with pytest.raises(ColumnNotFound) as refusal:
        pool.bind(request("SELECT b FROM occ0.l.d"))
    assert refusal.value.remedy == "Did you mean a?"


def test_it_compiles_statements(pool: BinderPool) -> None:
    plan = compile_statement("SELECT 1 AS x", {}, Catalogue((), frozenset({"core"})), pool, NOW)
    assert plan.columns[0].name == "x"


def test_many_threads_may_ask_at_once(pool: BinderPool) -> None:
    answers: list[str] = []

    def ask(number: int) -> None:
        answers.append(pool.print_checked(pool.parse(f"SELECT {number}")))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == sorted(f"SELECT {number}" for number in range(20))


def test_large_statements_pass_the_pipe_both_ways(pool: BinderPool) -> None:
    sql = "SELECT a IN (" + ", ".join(str(number) for number in range(10_000)) + ")"
    assert pool.print_checked(pool.parse(sql)).count(",") == 9_999


def test_a_process_killed_while_idle_costs_nobody_an_answer(pool: BinderPool) -> None:
    for pid in pool.pids:
        os.kill(pid, signal.SIGKILL)
    assert pool.parse("SELECT 1")["statements"]


def test_a_statement_that_takes_too_long_is_ended_and_others_go_on() -> None:
    pool = BinderPool(size=1, deadline_s=0.5)
    pool.start()
    before = pool.pids
    with pytest.raises(PlanningTooExpensive) as refusal:
        pool.bind(request(SLOW))
    assert refusal.value.data["limit"] == "0.5 s"
    assert pool.parse("SELECT 1")["statements"]
    assert pool.pids != before
    pool.stop()


def test_a_statement_that_ends_every_process_is_refused() -> None:
    pool = PoolWhoseProcessesDie(size=1)
    pool.start()
    with pytest.raises(PlanningTooExpensive) as refusal:
        pool.parse("SELECT 1")
    assert refusal.value.data["limit"] == "its memory"
    pool.stop()


class PoolWhoseProcessesDie(BinderPool):
    """Each process is killed just before it is asked."""

    def _take(self):  # type: ignore[no-untyped-def]
        child = super()._take()
        os.kill(child.pid, signal.SIGKILL)
        return child


def test_a_process_is_replaced_after_its_share_of_uses() -> None:
    pool = BinderPool(size=1, uses_per_process=2)
    pool.start()
    seen = {pid for _ in range(5) if pool.parse("SELECT 1") for pid in pool.pids}
    pool.stop()
    assert len(seen) >= 2


def test_stopping_leaves_no_process() -> None:
    pool = BinderPool(size=2)
    pool.start()
    pids = pool.pids
    pool.stop()
    assert pool.pids == []
    assert not any(psutil.pid_exists(pid) for pid in pids)


def test_asking_a_stopped_pool_does_not_wait_for_ever() -> None:
    pool = BinderPool(size=1)
    pool.start()
    pool.stop()
    for _ in range(2):
        with pytest.raises(PlanningTooExpensive):
            pool.parse("SELECT 1")


def test_memory_and_core_dumps_are_limited(pool: BinderPool) -> None:
    pool.parse("SELECT 1")
    limits = psutil.Process(pool.pids[0])
    assert limits.rlimit(psutil.RLIMIT_CORE) == (0, 0)
    assert limits.rlimit(psutil.RLIMIT_DATA)[0] <= 2**30


def test_a_pool_can_run_on_another_clock() -> None:
    pool = BinderPool(size=1, clock=time.perf_counter)
    pool.start()
    assert pool.parse("SELECT 1")["statements"]
    pool.stop()
