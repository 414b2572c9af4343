"""One Python job's own cluster: a driver, a scheduler and workers, in containers that no other job ever sees."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

from pydantic import ValidationError

from datacanal.domain.errors import (
    AttemptLost,
    DatacanalError,
    OutOfDisk,
    OutOfMemory,
    OutputTooLarge,
    PoolDidNotStart,
)
from datacanal.frames import BadFrame
from datacanal.protocol.base import Document
from datacanal.site.engine.announcements import SchedulerAddress
from datacanal.site.engine.assignment import HOME, Assignment
from datacanal.site.engine.job_cluster import JobSettings
from datacanal.site.engine.python_task import (
    DRIVER_EVENT,
    DriverReady,
    GaveUp,
    Progress,
    PythonTask,
    Returned,
    UserCodeBegins,
)
from datacanal.site.fleet.containers import Container, Marks
from datacanal.site.fleet.docker import Neighbourhood, at_most_all
from datacanal.site.fleet.log import Words
from datacanal.site.fleet.stages import Staged, fill_stage, make_stage, remove_stage
from datacanal.site.fleet.tls import new_certificates
from datacanal.site.launcher.specification import ContainerSpecification, Role

_MIB = 2**20
_SCHEDULER_BYTES = 384 * _MIB
_TMP_BYTES = 256 * _MIB
_READY_WITHIN_S = 60.0
_RESULT_AFTER_S = 60.0
_RESTART_S = 0.5
_MOST_RESTARTS = 10
_NOTICED_WITHIN_S = 0.3
_DIES_WITHIN_S = 3.0
_WHEN_LOST = ("raised", "out_of_memory")
"""What a function says whose scheduler or workers died under it."""
_PIECE_BYTES = 2**18


class ClusterShape(Document):
    """`memory_bytes` is that of the driver's container and of each worker's. `image`: None is the site's own."""

    workers: int
    memory_bytes: int
    image: str | None = None


@dataclass(frozen=True)
class Run:
    """One run of a function: what to tell the driver, what to lay on its stage, and where its table goes."""

    task: PythonTask
    staged: Sequence[Staged]
    result: Path
    most_bytes: int
    progress: Callable[[float], None]


class JobCluster:
    """`start` it, `run` once, `end` it. A worker that dies is replaced; scheduler or driver take the run with them."""

    def __init__(
        self, around: Neighbourhood, name: str, shape: ClusterShape, now: Callable[[], datetime], marks: Marks | None
    ) -> None:
        self.shape = shape
        self.words = Words()
        self._around = around
        self._name = name
        self._now = now
        self._marks = marks
        self._stage = around.home / "stages" / name
        self._certificates: dict[str, str] = {}
        self._driver: Container | None = None
        self._address: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._ready = asyncio.Event()
        self._lost: asyncio.Future[DatacanalError] = asyncio.get_running_loop().create_future()
        self._is_dying = False
        self._starved = 0
        self._killed = 0
        self._duties: list[asyncio.Task[None]] = []
        self._members: list[Container] = []

    @property
    def image(self) -> str:
        """The id of the image that its driver runs."""
        return self._driver.image if self._driver else ""

    @property
    def is_lost(self) -> bool:
        """Whether it can run nothing any more."""
        return self._lost.done()

    async def start(self) -> None:
        """Return when the driver can be told what to run. Raises what kept it from that."""
        await asyncio.to_thread(make_stage, self._stage)
        self._certificates = await asyncio.to_thread(new_certificates, self._now())
        await self._around.open_network(self._name)
        for work in (self._keep_scheduler(), self._keep_driver(), *self._keep_workers()):
            self._duties.append(asyncio.create_task(self._dutifully(work)))
        ready = asyncio.create_task(self._ready.wait())
        try:
            await self._first(ready, timeout_s=_READY_WITHIN_S)
        finally:
            ready.cancel()
        if self._lost.done():
            raise self._lost.result()
        if not self._ready.is_set():
            raise PoolDidNotStart(reason=f"its driver was not ready after {_READY_WITHIN_S:.0f} s")

    async def run(self, run: Run) -> Returned | GaveUp:
        """The driver's last word; with `Returned` the table is in `result`, unseen.

        Raises `AttemptLost`, `OutOfMemory` or `OutputTooLarge`, and what the lake's files raise.
        """
        driver = self._driver
        if driver is None or self._lost.done():
            raise AttemptLost(reason="its cluster died")
        await asyncio.to_thread(fill_stage, self._stage, run.staged)
        address = await asyncio.shield(self._address)
        driver.tell(run.task.model_copy(update={"scheduler": address}))
        stream = await driver.result()
        if stream is None:
            raise AttemptLost(reason="its driver died")
        receiving = asyncio.create_task(self._receive(stream, run))
        listening = asyncio.create_task(self._listen(driver, run.progress))
        try:
            await self._first(listening)
            if not listening.done():
                raise self._lost.result()
            last = listening.result()
            if isinstance(last, GaveUp):
                await self._excuse(last)
            else:
                await self._first(receiving, timeout_s=_RESULT_AFTER_S)
                if not receiving.done():
                    raise AttemptLost(reason="its driver never finished its table")
                receiving.result()
            return last
        finally:
            for task in (listening, receiving):
                task.cancel()
            await asyncio.gather(listening, receiving, return_exceptions=True)

    async def end(self) -> None:
        """Everything of it is gone when this returns."""
        self._lose(AttemptLost(reason="its cluster was ended"))
        for duty in self._duties:
            duty.cancel()
        await asyncio.gather(*self._duties, return_exceptions=True)
        for member in self._members:
            member.kill()
        await asyncio.gather(*(member.gone() for member in self._members))
        await self._around.close_network(self._name)
        await asyncio.to_thread(remove_stage, self._stage)

    async def _excuse(self, last: GaveUp) -> None:
        """Raise what took its cluster from under the function, where that is why it gave up."""
        if last.why not in _WHEN_LOST:
            return
        await asyncio.sleep(_NOTICED_WITHIN_S)
        if self._is_dying:
            raise await self._lost
        if last.why == "out_of_memory" and self._killed and not self._starved:
            raise AttemptLost(reason="its workers died")

    async def _first(self, task: asyncio.Task[Any], timeout_s: float | None = None) -> None:
        """Wait for the task, for so long, and for as long as the cluster lives."""
        both: list[asyncio.Future[Any]] = [task, self._lost]
        await asyncio.wait(both, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)

    async def _receive(self, stream: asyncio.StreamReader, run: Run) -> None:
        """Write what comes to the file. One that is too large ends the cluster: nobody would read the rest."""
        try:
            await _copy(stream, run.result, run.most_bytes)
        except DatacanalError as error:
            self._lose(error)
        except OSError:
            self._lose(OutOfDisk(reason="the site has no room for its table"))

    def _lose(self, error: DatacanalError) -> None:
        if not self._lost.done():
            self._lost.set_result(error)

    async def _listen(self, driver: Container, progress: Callable[[float], None]) -> Returned | GaveUp:
        try:
            while (frame := await driver.hear()) is not None:
                match DRIVER_EVENT.validate_json(frame):
                    case Returned() | GaveUp() as last:
                        return last
                    case Progress() as event:
                        progress(event.fraction)
                    case DriverReady() | UserCodeBegins():
                        pass
        except (BadFrame, ValidationError):
            raise AttemptLost(reason="its driver said what no driver says") from None
        raise await self._cause(driver, "driver")

    async def _keep_driver(self) -> None:
        self._driver = driver = await self._member("driver", "driver")
        frame = await driver.hear()
        if frame is None or not isinstance(DRIVER_EVENT.validate_json(frame), DriverReady):
            raise await self._cause(driver, "driver")
        self._ready.set()

    async def _keep_scheduler(self) -> None:
        scheduler = await self._member("job_scheduler", "scheduler")
        frame = await scheduler.hear()
        if frame is not None:
            self._address.set_result(SchedulerAddress.model_validate_json(frame).address)
            await scheduler.hear()
        raise await self._cause(scheduler, "scheduler")

    def _keep_workers(self) -> list[Coroutine[Any, Any, None]]:
        return [self._keep_worker(number) for number in range(self.shape.workers)]

    async def _keep_worker(self, number: int) -> None:
        """Dask gives what a dead worker had to the others, or to the one that takes its place."""
        for life in range(_MOST_RESTARTS):
            worker = await self._member("job_worker", f"worker-{number}-{life}")
            worker.tell(SchedulerAddress(address=await asyncio.shield(self._address)))
            while await worker.hear() is not None:
                pass
            await _bury(worker)
            self._starved += worker.is_starved
            self._killed += not worker.is_starved
            await asyncio.sleep(_RESTART_S)
        raise AttemptLost(reason=f"a worker died {_MOST_RESTARTS} times")

    async def _dutifully(self, work: Coroutine[Any, Any, None]) -> None:
        """A member that cannot be had, or is gone, takes the run with it."""
        try:
            await work
        except DatacanalError as error:
            self._lose(error)
        except (BadFrame, ValueError):  # of pydantic, too
            self._lose(AttemptLost(reason="a member of its cluster said what none says"))

    async def _cause(self, member: Container, what: str) -> DatacanalError:
        self._is_dying = True
        await _bury(member)
        if member.is_starved:
            return OutOfMemory(limit_bytes=self.shape.memory_bytes)
        return AttemptLost(reason=f"its {what} died")

    async def _member(self, role: Role, name: str) -> Container:
        specification = self._specification(role, f"{self._name}-{name}")
        assignment = Assignment(
            arguments=[self._settings().model_dump_json(), name],
            files={f"tls/{file}": content for file, content in self._certificates.items()},
        )
        member = await Container.start(
            self._around.launcher, specification, assignment, self._around.channels, self.words
        )
        self._members.append(member)
        return member

    def _settings(self) -> JobSettings:
        return JobSettings(
            tls=str(HOME / "tls"), directory=str(HOME / "dask"), threads=1, memory_bytes=self.shape.memory_bytes
        )

    def _specification(self, role: Role, name: str) -> ContainerSpecification:
        is_scheduler = role == "job_scheduler"
        marks = self._marks or Marks()
        return ContainerSpecification(
            name=name,
            role=role,
            pool=self._name,
            boot=self._around.boot,
            image=self.shape.image,
            memory_bytes=_SCHEDULER_BYTES if is_scheduler else self.shape.memory_bytes,
            cpus=at_most_all(1.0),
            stage=None if is_scheduler else self._name,
            channel=name,
            tmp_bytes=_TMP_BYTES,
            work_bytes=self._work_bytes(role),
            job=marks.job,
            step=marks.step,
            fence=marks.fence,
        )

    def _work_bytes(self, role: Role) -> int:
        """What lies on a tmpfs counts as memory, so a disk as large as the memory is never full before it."""
        return _TMP_BYTES if role == "job_scheduler" else self.shape.memory_bytes


async def _bury(member: Container) -> None:
    """Wait until one that says nothing more is gone; by itself, so that it is known how it ended, or else killed."""
    with suppress(TimeoutError):
        async with asyncio.timeout(_DIES_WITHIN_S):
            await member.gone()
    member.kill()
    await member.gone()


async def _copy(stream: asyncio.StreamReader, file: Path, most_bytes: int) -> None:
    """Raises `OutputTooLarge`."""
    with file.open("wb") as received:
        size = 0
        while piece := await stream.read(_PIECE_BYTES):
            size += len(piece)
            if size > most_bytes:
                raise OutputTooLarge(limit_bytes=most_bytes)
            await asyncio.to_thread(_write, received, piece)


def _write(file: BinaryIO, piece: bytes) -> None:
    file.write(piece)
