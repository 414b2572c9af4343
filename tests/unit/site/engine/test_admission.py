"""Which task runs where: regular slots first, the express slot for whoever may be short, long ones back to the head."""

from __future__ import annotations

from datacanal.site.engine.admission import Admission, Slot


def admission(workers: int, *tasks: str) -> Admission:
    made = Admission()
    for number in range(workers):
        made.join(f"w{number}")
    for task in tasks:
        made.enqueue(task)
    return made


def test_tasks_take_regular_slots_first_then_the_one_express_slot_then_wait() -> None:
    pool = admission(2, "a", "b", "c", "d")
    assert pool.start() == [("a", Slot("w0", False)), ("b", Slot("w1", False)), ("c", Slot("w0", True))]
    assert pool.start() == []


def test_a_task_that_left_the_express_slot_is_next_for_a_regular_one() -> None:
    pool = admission(1, "a", "b", "c")
    pool.start()
    pool.demote("b")
    assert pool.start() == [("c", Slot("w0", True))]
    pool.finish("a")
    assert pool.start() == [("b", Slot("w0", False))]


def test_long_tasks_never_take_the_last_slot() -> None:
    pool = admission(1, "a", "b", "c")
    for long in ("a", "b", "c"):
        pool.start()
        if long != "a":
            pool.demote(long)
    pool.enqueue("short")
    assert pool.start() == [("short", Slot("w0", True))]


def test_nothing_starts_without_workers() -> None:
    pool = admission(0, "a")
    assert pool.start() == []
    pool.join("w9")
    assert pool.start() == [("a", Slot("w9", False))]


def test_a_worker_that_leaves_names_what_it_ran() -> None:
    pool = admission(2, "a", "b", "c")
    pool.start()
    assert pool.leave("w0") == ["a", "c"]
    for task in ("a", "c"):
        pool.finish(task)
    pool.enqueue("d")
    assert pool.start() == [("d", Slot("w1", True))]


def test_a_waiting_task_can_be_withdrawn_and_a_running_one_not() -> None:
    pool = admission(1, "a", "b", "c")
    pool.start()
    assert [pool.withdraw("a"), pool.withdraw("c"), pool.withdraw("c")] == [False, True, False]
