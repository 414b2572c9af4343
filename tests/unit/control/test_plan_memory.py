"""Plans kept for the moment when their jobs leave the queue."""

from __future__ import annotations

from datacanal.control.dispatcher import PlanMemory
from datacanal.control.planner import Compiled
from datacanal.protocol.plan import PythonCode, PythonEnvironment, PythonWork
from datacanal.testing.compiler_fake import plan_at


def statement() -> Compiled:
    return Compiled(plan_at("core"), version=1)


def function(size: int) -> Compiled:
    """The plan of a function with so many characters of code."""
    code = PythonCode(name="f", pickle="A" * size, digest="", source="", environment=PythonEnvironment(python="3.11"))
    work = PythonWork(code=code, given=[], workers=0, memory_bytes=0)
    plan = plan_at("core")
    return Compiled(plan.model_copy(update={"steps": [plan.steps[0].model_copy(update={"python": work})]}), version=1)


def test_a_plan_is_taken_once() -> None:
    memory, kept = PlanMemory(), statement()
    memory.keep("a", kept)
    assert memory.take("a") is kept
    assert memory.take("a") is None


def test_the_oldest_plans_go_first() -> None:
    memory = PlanMemory(most_plans=2)
    for job in "abc":
        memory.keep(job, statement())
    assert [memory.take(job) is None for job in "abc"] == [True, False, False]


def test_the_code_of_functions_is_bounded_too() -> None:
    memory = PlanMemory(most_code=10)
    memory.keep("a", function(6))
    memory.take("a")
    memory.keep("b", function(6))
    memory.keep("sql", statement())
    memory.keep("c", function(4))
    memory.keep("d", function(3))
    assert [memory.take(job) is None for job in ("b", "sql", "c", "d")] == [True, False, False, False]
    memory.keep("e", function(11))
    assert memory.take("e") is None
