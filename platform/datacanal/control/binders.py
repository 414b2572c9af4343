"""A pool of disposable binder processes, started ahead: a `Binder` that any number of threads may use at once."""

from __future__ import annotations

import os
import queue
import select
import subprocess
import threading
import time
from collections.abc import Callable
from typing import Any

from datacanal import lifeline
from datacanal.domain.errors import DatacanalError, PlanningTooExpensive, error_classes
from datacanal.frames import HEAD_BYTES, BadFrame, body_length, pack
from datacanal.planning.binding import Binding, BindRequest, Tree
from datacanal.planning.messages import decoded, encoded

_START_S = 60.0


class BinderLost(Exception):
    """A binder process died, fell silent or spoke nonsense."""


class BinderChild:
    """One process. Made ready by the constructor, useless after the first `BinderLost`."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._process = lifeline.spawn(
            "datacanal.planning.child", stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        self.uses = 0
        try:
            self.kernel = str(self._read(clock() + _START_S)["kernel"])
        except BinderLost:
            self.kill()
            raise

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        """Whether the process still runs."""
        return self._process.poll() is None

    def ask(self, request: bytes, deadline: float) -> dict[str, Any]:
        """Send a frame and give the answer. Raises `BinderLost`, also when the clock passes the deadline."""
        self.uses += 1
        self._write(request, deadline)
        return self._read(deadline)

    def kill(self) -> None:
        """End the process and wait until it is gone."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()

    def _write(self, frame: bytes, deadline: float) -> None:
        assert self._process.stdin is not None  # noqa: S101  # the pipe that the constructor asked for
        descriptor = self._process.stdin.fileno()
        os.set_blocking(descriptor, False)
        view = memoryview(frame)
        while view:
            _, ready, _ = select.select([], [descriptor], [], max(0.0, deadline - self._clock()))
            if not ready:
                raise BinderLost("it does not read")
            try:
                view = view[os.write(descriptor, view) :]
            except BlockingIOError:
                continue
            except OSError as error:
                raise BinderLost("it is gone") from error

    def _read(self, deadline: float) -> dict[str, Any]:
        try:
            return decoded(self._exactly(body_length(self._exactly(HEAD_BYTES, deadline)), deadline))
        except BadFrame as error:
            raise BinderLost("it speaks nonsense") from error

    def _exactly(self, count: int, deadline: float) -> bytes:
        assert self._process.stdout is not None  # noqa: S101  # the pipe that the constructor asked for
        descriptor = self._process.stdout.fileno()
        parts: list[bytes] = []
        while count:
            ready, _, _ = select.select([descriptor], [], [], max(0.0, deadline - self._clock()))
            if not ready:
                raise BinderLost("it is silent")
            part = os.read(descriptor, min(count, 2**20))
            if not part:
                raise BinderLost("it is gone")
            parts.append(part)
            count -= len(part)
        return b"".join(parts)


class BinderPool:
    """`size` processes ready at a time. A call that exceeds `deadline_s`, or whose process dies, ends that process.

    `start` brings the pool up, `stop` ends it; between the two it answers as a `Binder`.
    """

    def __init__(
        self,
        size: int = 2,
        deadline_s: float = 2.0,
        uses_per_process: int = 2000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._size = size
        self._deadline_s = deadline_s
        self._uses = uses_per_process
        self._clock = clock
        self._idle: queue.LifoQueue[BinderChild | Exception] = queue.LifoQueue()
        self._lock = threading.Lock()
        self._all: set[BinderChild] = set()
        self._stopped = threading.Event()
        self._kernel = ""

    def start(self) -> None:
        """Start the processes, and return when the first is ready. Raises `BinderLost` where none can start."""
        threads = [self._start_one_aside() for _ in range(self._size)]
        first = self._idle.get()
        if isinstance(first, Exception):
            for thread in threads:
                thread.join()
            self.stop()
            raise first
        self._kernel = first.kernel
        self._idle.put(first)

    def stop(self) -> None:
        """End every process. Who still asks gets `BinderLost` or `PlanningTooExpensive`."""
        self._stopped.set()
        self._idle.put(BinderLost("the pool is stopped"))
        with self._lock:
            children, self._all = self._all, set()
        for child in children:
            child.kill()

    @property
    def kernel(self) -> str:
        """See `Binder.kernel`."""
        return self._kernel

    @property
    def pids(self) -> list[int]:
        """The processes alive now."""
        with self._lock:
            return sorted(child.pid for child in self._all)

    def parse(self, sql: str) -> Tree:
        """See `Binder.parse`."""
        return dict(self._call("parse", sql))

    def print_checked(self, tree: Tree) -> str:
        """See `Binder.print_checked`."""
        return str(self._call("print_checked", tree))

    def bind(self, request: BindRequest) -> list[Binding]:
        """See `Binder.bind`."""
        return [Binding.model_validate(item) for item in self._call("bind", request.model_dump())]

    def _call(self, name: str, argument: Any) -> Any:
        frame = pack(encoded({"call": name, "argument": argument}))
        try:
            answer = self._ask(frame)
        except BinderLost:
            # It may have been killed just then. Only a question that ends two processes is to blame.
            try:
                answer = self._ask(frame)
            except BinderLost as error:
                raise PlanningTooExpensive(limit="its memory") from error
        if "error" in answer:
            raise _error_of(answer)
        return answer["ok"]

    def _ask(self, frame: bytes) -> dict[str, Any]:
        child = self._take()
        deadline = self._clock() + self._deadline_s
        try:
            answer = child.ask(frame, deadline)
        except BinderLost as error:
            self._replace(child)
            if self._clock() >= deadline:
                raise PlanningTooExpensive(limit=f"{self._deadline_s:g} s") from error
            raise
        self._give_back(child, answer)
        return answer

    def _take(self) -> BinderChild:
        """An idle process that lives. Raises `BinderLost` or `OSError` where a new one could not start."""
        while True:
            child = self._idle.get()
            if isinstance(child, Exception):
                if self._stopped.is_set():
                    self._idle.put(child)  # for whoever else waits
                self._start_one_aside()
                raise child
            if child.is_alive:
                return child
            self._replace(child)

    def _give_back(self, child: BinderChild, answer: dict[str, Any]) -> None:
        """Use the process again unless it is worn out or ran into its memory limit."""
        if child.uses >= self._uses or answer.get("error") == PlanningTooExpensive.__name__:
            self._replace(child)
        else:
            self._idle.put(child)

    def _replace(self, child: BinderChild) -> None:
        with self._lock:
            self._all.discard(child)
        child.kill()
        self._start_one_aside()

    def _start_one_aside(self) -> threading.Thread:
        thread = threading.Thread(target=self._start_one, name="binder-start", daemon=True)
        thread.start()
        return thread

    def _start_one(self) -> None:
        if self._stopped.is_set():
            return
        try:
            child = BinderChild(self._clock)
        except (BinderLost, OSError) as error:
            self._idle.put(error)
            return
        with self._lock:
            is_late = self._stopped.is_set()
            if not is_late:
                self._all.add(child)
        if is_late:
            child.kill()
        else:
            self._idle.put(child)


def _error_of(answer: dict[str, Any]) -> DatacanalError:
    classes = {cls.__name__: cls for cls in error_classes()}
    return classes[answer["error"]](**answer["data"])
