"""Drivers on this machine: in the test's own process, and as processes with a cluster."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, TypeVar

from pydantic import BaseModel
from tests.python_jobs import Heard

from datacanal.frames import read_frame, write_frame
from datacanal.lifeline import spawn
from datacanal.site.engine.announcements import SchedulerAddress, WorkerAddress
from datacanal.site.engine.assignment import RESULT
from datacanal.site.engine.driver import outcome_of
from datacanal.site.engine.job_cluster import JobSettings
from datacanal.site.engine.python_task import DRIVER_EVENT, GaveUp, PythonTask, Returned
from datacanal.site.engine.voice import Voice
from datacanal.site.fleet.tls import make_certificates

Model = TypeVar("Model", bound=BaseModel)
_ENGINE = "datacanal.site.engine"


def events_in(frames: IO[bytes]) -> Iterator[Any]:
    while (frame := read_frame(frames)) is not None:
        yield DRIVER_EVENT.validate_json(frame)


@dataclass
class Bench:
    """A stage, and settings for whatever runs over it."""

    root: Path

    def __post_init__(self) -> None:
        self.stage.mkdir()
        make_certificates(self.root / "tls", datetime.now(UTC))

    @property
    def stage(self) -> Path:
        return self.root / "stage"

    @property
    def settings(self) -> JobSettings:
        return JobSettings(
            tls=str(self.root / "tls"),
            directory=str(self.root / "dask"),
            stage=str(self.stage),
            threads=1,
            memory_bytes=512 * 2**20,
            host="127.0.0.1",
        )

    def run_here(self, task: PythonTask) -> Heard:
        """In this process: what the function says goes wherever the test's output goes."""
        frames, line = io.BytesIO(), io.BytesIO()
        outcome = outcome_of(task, self.settings, line, Voice(frames))
        frames.seek(0)
        return Heard([*events_in(frames), outcome], line.getvalue())

    def run(self, task: PythonTask) -> Heard:
        """As a process of its own, until it has ended or said its last word."""
        with contextlib.closing(Driver(self.settings)) as driver:
            return driver.run(task)


class Driver:
    """A process that was started and is ready for its one task."""

    def __init__(self, settings: JobSettings) -> None:
        read_end, write_end = os.pipe()
        self.process = spawn(
            f"{_ENGINE}.driver",
            [settings.model_dump_json(), "driver"],
            environment={**os.environ, RESULT: str(write_end)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=(write_end,),
        )
        os.close(write_end)
        self._result = os.fdopen(read_end, "rb")
        self._events = events_in(self._pipe(self.process.stdout))
        self._first = next(self._events)

    def run(self, task: PythonTask) -> Heard:
        heard = Heard([self._first])
        stream: list[bytes] = []
        words: list[bytes] = []
        threads = [
            threading.Thread(target=lambda: stream.append(self._result.read())),
            threading.Thread(target=lambda: words.append(self._pipe(self.process.stderr).read())),
        ]
        for thread in threads:
            thread.start()
        write_frame(self._pipe(self.process.stdin), task.model_dump_json().encode())
        for event in self._events:
            heard.events.append(event)
            if isinstance(event, Returned | GaveUp):
                break
        self.process.kill()
        for thread in threads:
            thread.join()
        heard.stream, heard.words = b"".join(stream), b"".join(words).decode(errors="replace")
        return heard

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr, self._result):
            self._pipe(pipe).close()

    @staticmethod
    def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
        assert pipe is not None
        return pipe


@contextlib.contextmanager
def cluster(bench: Bench, workers: int = 2) -> Iterator[str]:
    """A scheduler and workers as processes; gives the scheduler's address."""
    with contextlib.ExitStack() as stack:

        def started(module: str, name: str) -> subprocess.Popen[bytes]:
            arguments = [bench.settings.model_dump_json(), name]
            process = spawn(f"{_ENGINE}.{module}", arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            stack.enter_context(process)
            stack.callback(process.kill)
            return process

        scheduler = started("job_scheduler", "scheduler")
        members = [started("job_worker", f"worker-{number}") for number in range(workers)]
        address = _told(scheduler, SchedulerAddress)
        for member in members:
            assert member.stdin is not None
            write_frame(member.stdin, address.model_dump_json().encode())
        for member in members:
            _told(member, WorkerAddress)
        yield address.address


def _told(process: subprocess.Popen[bytes], model: type[Model]) -> Model:
    assert process.stdout is not None
    frame = read_frame(process.stdout)
    assert frame is not None
    return model.model_validate_json(frame)
