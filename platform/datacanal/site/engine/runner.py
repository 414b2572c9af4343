"""The pool's only Dask client: `python -m datacanal.site.engine.runner SETTINGS NAME`, frames on stdin and stdout.

It decides with `Admission` which task runs where, hands it to a worker through Dask, and answers with its outcome.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import sys
import traceback
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import dask
from distributed import Client, Security

from datacanal.domain.errors import AttemptLost, OutOfMemory
from datacanal.frames import LIMIT_BYTES, claim_stdout, receive_frame
from datacanal.lifeline import hold_on
from datacanal.site.engine.admission import Admission, Slot
from datacanal.site.engine.announcements import RunnerReady, SchedulerAddress, announce
from datacanal.site.engine.cluster import DASK_CONFIGURATION, ClusterSettings, quiet, security_arguments
from datacanal.site.engine.runner_protocol import (
    REQUEST,
    KillRequest,
    RunReply,
    RunRequest,
    StatusReply,
    StatusRequest,
    WorkerJoined,
    WorkerLeft,
)
from datacanal.site.engine.specification import OUTCOME, Task, TaskDone, TaskFailed, lost
from datacanal.site.engine.work import Work
from datacanal.site.engine.worker import run_work

_ANSWER_S = 10
"""A worker answers in milliseconds, or it is stopped or stuck."""


@dataclass
class _Entry:
    """A task that the agent waits for. `lost` is set when the worker that runs it is gone."""

    task: Task
    killed: bool = False
    attempt: str = ""
    worker: str = ""
    lost: asyncio.Event = field(default_factory=asyncio.Event)


class Runner:
    """Tasks in, outcomes out, for one scheduler."""

    def __init__(self, client: Any, settings: ClusterSettings, replies: BinaryIO) -> None:
        self._client = client
        self._settings = settings
        self._replies = replies
        self._admission = Admission()
        self._addresses: dict[str, str] = {}
        self._entries: dict[str, _Entry] = {}
        self._numbers = itertools.count()
        self._under_way: set[asyncio.Task[None]] = set()

    async def serve(self, requests: asyncio.StreamReader) -> None:
        """Answer until the agent closes its end."""
        while (frame := await receive_frame(requests)) is not None:
            self._handle(REQUEST.validate_json(frame))

    def _handle(self, request: RunRequest | KillRequest | WorkerJoined | WorkerLeft | StatusRequest) -> None:
        match request:
            case RunRequest():
                self._entries[request.task.id] = _Entry(request.task)
                self._admission.enqueue(request.task.id)
            case KillRequest():
                self._kill(request.task_id)
            case WorkerJoined():
                self._addresses[request.name] = request.address
                self._admission.join(request.name)
            case WorkerLeft():
                del self._addresses[request.name]
                for task_id in self._admission.leave(request.name):
                    self._entries[task_id].lost.set()
            case StatusRequest():
                self._spawn(self._tell_status(request.number))
        self._start()

    def _start(self) -> None:
        for task_id, slot in self._admission.start():
            self._spawn(self._run(task_id, slot))

    async def _run(self, task_id: str, slot: Slot) -> None:
        """Run once in the slot. A task that is too long or too big for the express slot is queued again, unseen."""
        entry = self._entries[task_id]
        entry.attempt = f"run-{next(self._numbers)}"
        entry.worker = slot.worker
        entry.lost = asyncio.Event()
        outcome = await _outcome(self._submit(entry, slot), entry.lost)
        if slot.express and not entry.killed and _may_be_regular(outcome):
            self._admission.demote(task_id)
        else:
            self._admission.finish(task_id)
            self._finish(task_id, outcome)
        self._start()

    def _submit(self, entry: _Entry, slot: Slot) -> Any:
        settings = self._settings
        work = Work(
            task=entry.task,
            memory_bytes=settings.express_memory_bytes if slot.express else settings.memory_bytes,
            threads=1 if slot.express else settings.threads,
            limit_s=settings.express_s if slot.express else None,
        )
        return self._client.submit(
            run_work,
            entry.attempt,
            work.model_dump_json(),
            key=entry.attempt,
            workers=[self._addresses[slot.worker]],
            allow_other_workers=False,
            pure=False,
            retries=0,
        )

    def _kill(self, task_id: str) -> None:
        entry = self._entries.get(task_id)
        if entry is None:
            return
        entry.killed = True
        if self._admission.withdraw(task_id):
            self._finish(task_id, lost("it was killed while it waited"))
        else:
            self._spawn(self._end(entry))

    async def _end(self, entry: _Entry) -> None:
        """Have the attempt's kernel killed. A worker that is gone has none any more."""
        address = self._addresses.get(entry.worker)
        if address is not None:
            with contextlib.suppress(OSError):
                await self._client.rpc(address).kill_attempt(attempt=entry.attempt)

    async def _tell_status(self, number: int) -> None:
        names = list(self._addresses)
        answers = await asyncio.gather(*(self._kernels_of(name) for name in names))
        found = dict(zip(names, answers, strict=True))
        pids = [pid for kernels in answers for pid in kernels or ()]
        silent = [name for name, kernels in found.items() if kernels is None and name in self._addresses]
        announce(self._replies, StatusReply(number=number, kernel_pids=pids, silent=silent))

    async def _kernels_of(self, name: str) -> list[int] | None:
        """The worker's kernel processes; None where it does not answer."""
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(_ANSWER_S):
                return list(await self._client.rpc(self._addresses[name]).kernel_pids())
        return None

    def _finish(self, task_id: str, outcome: TaskDone | TaskFailed) -> None:
        del self._entries[task_id]
        announce(self._replies, RunReply(task_id=task_id, outcome=outcome))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        task.add_done_callback(_die_of_failure)


async def _outcome(future: Any, left: asyncio.Event) -> TaskDone | TaskFailed:
    """What the worker answered. Whatever Dask raises instead means that the worker, and the attempt, are lost."""
    gone = asyncio.ensure_future(left.wait())
    answer = asyncio.ensure_future(_answer(future))
    await asyncio.wait([gone, answer], return_when=asyncio.FIRST_COMPLETED)
    gone.cancel()
    if answer.done():
        return answer.result()
    answer.cancel()
    await future.cancel()
    return lost("its worker died")


async def _answer(future: Any) -> TaskDone | TaskFailed:
    try:
        return OUTCOME.validate_json(await future)
    except Exception as error:  # Dask raises errors of many modules, and re-raises those of workers
        return lost(f"its worker died ({type(error).__name__})")


def _may_be_regular(outcome: TaskDone | TaskFailed) -> bool:
    """Whether a regular slot can give what the express slot could not: time, and memory."""
    return not outcome.ok and outcome.problem.code in (AttemptLost.code, OutOfMemory.code)


def _die_of_failure(task: asyncio.Task[None]) -> None:
    """A runner that failed inside is of no use: end it, and the agent starts the pool anew."""
    error = None if task.cancelled() else task.exception()
    if error is not None:
        traceback.print_exception(error)
        os._exit(1)


async def serve(settings: ClusterSettings, replies: BinaryIO) -> None:
    """Connect to the scheduler that the parent names, then serve it."""
    requests = await _stdin()
    frame = await receive_frame(requests)
    if frame is None:
        return
    address = SchedulerAddress.model_validate_json(frame).address
    security = Security(**security_arguments(settings.tls))  # type: ignore[no-untyped-call]  # distributed's own
    options = {"asynchronous": True, "security": security, "set_as_default": False, "direct_to_workers": True}
    async with Client(address, **options) as client:  # type: ignore[no-untyped-call]  # distributed's own
        announce(replies, RunnerReady())
        await Runner(client, settings, replies).serve(requests)


async def _stdin() -> asyncio.StreamReader:
    reader = asyncio.StreamReader(limit=LIMIT_BYTES)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin.buffer)
    return reader


def main(arguments: list[str]) -> None:
    """Run until killed."""
    hold_on()
    replies = claim_stdout()
    quiet()
    with dask.config.set(DASK_CONFIGURATION):
        asyncio.run(serve(ClusterSettings.model_validate_json(arguments[0]), replies))


if __name__ == "__main__":
    main(sys.argv[1:])
