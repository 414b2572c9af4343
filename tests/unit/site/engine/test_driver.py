"""A driver tells how its function ended, by one word of a closed list; what the function said stays words."""

from __future__ import annotations

import errno
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from tests.python_jobs import HERE, code_of, task_of
from tests.unit.site.engine.python_bench import Bench

from datacanal.site.engine.python_task import Returned

CANARY = "850612-1234"


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def raising(error: BaseException) -> Callable[[Any], Any]:
    def function(_: Any) -> Any:
        raise error

    return function


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (ValueError(CANARY), "raised"),
        (SystemExit(0), "raised"),
        (KeyboardInterrupt(), "raised"),
        (GeneratorExit(), "raised"),
        (MemoryError(), "out_of_memory"),
        (OSError(errno.ENOSPC, "full"), "out_of_disk"),
        (OSError(errno.ENOENT, "gone"), "raised"),
        (pa.ArrowMemoryError("malloc"), "out_of_memory"),
    ],
    ids=repr,
)
def test_whatever_is_raised_has_its_word(bench: Bench, error: BaseException, why: str) -> None:
    assert bench.run_here(task_of(raising(error))).why == why


def test_an_exception_that_cannot_be_printed_is_raised_like_any_other(bench: Bench) -> None:
    def function(_: Any) -> Any:
        class Hostile(Exception):
            def __str__(self) -> str:
                raise SystemExit(0)

        raise Hostile

    assert bench.run_here(task_of(function)).why == "raised"


def test_an_exception_in_the_middle_of_the_stream_leaves_no_table(bench: Bench) -> None:
    def function(_: Any) -> Any:
        def batches() -> Any:
            yield pa.record_batch({"n": list(range(200_000))})
            raise MemoryError

        return pa.RecordBatchReader.from_batches(pa.schema([("n", pa.int64())]), batches())

    heard = bench.run_here(task_of(function))
    assert (heard.why, bool(heard.stream)) == ("out_of_memory", True)


# ---------------------------------------------------------------- before the function


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"python": "3.9"}, f"- Python 3.9, here {HERE}"),
        ({"packages": {"pyarrow": "1.0"}}, f"- pyarrow 1.0, here {pa.__version__}"),
        ({"packages": {"no-such-thing": "2.0"}}, "- no-such-thing 2.0, here not installed"),
    ],
)
def test_another_environment_is_told_before_anything_is_unpickled(
    bench: Bench, capfd: pytest.CaptureFixture[str], environment: dict[str, Any], words: str
) -> None:
    heard = bench.run_here(task_of(raising(SystemExit(0)), **environment))
    assert ([event.event for event in heard.events], heard.why) == (["gave_up"], "environment")
    assert words in capfd.readouterr().err


def test_the_environment_that_it_is_runs(bench: Bench) -> None:
    task = task_of(lambda _: pa.table({"n": [1]}), packages={"pyarrow": pa.__version__})
    assert bench.run_here(task).table.num_rows == 1


def test_other_code_than_the_digest_says_is_not_loaded(bench: Bench) -> None:
    task = task_of(raising(ValueError()))
    swapped = task.code.model_copy(update={"digest": "0" * 64})
    heard = bench.run_here(task.model_copy(update={"code": swapped}))
    assert ([event.event for event in heard.events], heard.why) == (["gave_up"], "cannot_be_loaded")


class Exits:
    def __reduce__(self) -> Any:
        return sys.exit, (0,)


@pytest.mark.parametrize("thing", [Exits(), 1], ids=["exits", "no function"])
def test_what_cannot_be_loaded_is_told(bench: Bench, thing: object) -> None:
    task = task_of(lambda _: None).model_copy(update={"code": code_of(thing)})
    assert bench.run_here(task).why == "cannot_be_loaded"


def test_a_parameter_of_the_wrong_type_is_the_functions_failure(bench: Bench) -> None:
    def function(_: Any, day: Any) -> Any:
        return pa.table({"n": [1]})

    function.__annotations__["day"] = "datetime.date"
    assert bench.run_here(task_of(function, params={"day": "2024-13-01"})).why == "raised"
    assert bench.run_here(task_of(function, params={"month": 1})).why == "raised"


# ---------------------------------------------------------------- as a process


def test_what_a_function_prints_is_words_and_its_exception_too(bench: Bench) -> None:
    def function(ctx: Any) -> Any:
        print("printed", CANARY)
        os.write(1, b"written\n")
        ctx.log("logged")
        ctx.progress(0.5)
        try:
            input()
        except EOFError:
            ctx.log("no input")
        raise ValueError(CANARY)

    heard = bench.run(task_of(function))
    assert [event.event for event in heard.events] == ["ready", "begins", "progress", "gave_up"]
    assert heard.why == "raised"
    for said in ("printed", "written", "logged", "no input", "Traceback", f"ValueError: {CANARY}"):
        assert said in heard.words
    assert CANARY not in repr(heard.events)


def leaving(how: str) -> Callable[[Any], Any]:
    def function(_: Any) -> Any:
        def batches() -> Any:
            if how == "killed":
                os.kill(os.getpid(), signal.SIGKILL)
            yield pa.record_batch({"n": list(range(500_000))})
            os._exit(0)

        if how == "at once":
            os._exit(0)
        return pa.RecordBatchReader.from_batches(pa.schema([("n", pa.int64())]), batches())

    return function


@pytest.mark.parametrize("how", ["at once", "killed", "in the stream"])
def test_a_function_that_takes_its_process_down_says_no_last_word(bench: Bench, how: str) -> None:
    heard = bench.run(task_of(leaving(how)))
    assert [event.event for event in heard.events] == ["ready", "begins"]


def test_a_forked_copy_says_nothing(bench: Bench) -> None:
    def function(_: Any) -> Any:
        child = os.fork()
        if child:
            os.waitpid(child, 0)
        return pa.table({"n": [1]})

    heard = bench.run(task_of(function))
    assert heard.table.to_pydict() == {"n": [1]}
    assert sum(isinstance(event, Returned) for event in heard.events) == 1


def test_a_thread_that_goes_on_changes_nothing(bench: Bench) -> None:
    def function(ctx: Any) -> Any:
        def on() -> None:
            while True:
                ctx.progress(0.1)
                time.sleep(0.001)

        threading.Thread(target=on).start()
        sys.settrace(lambda *_: None)
        return pa.table({"n": [1]})

    heard = bench.run(task_of(function))
    assert heard.table.num_rows == 1
