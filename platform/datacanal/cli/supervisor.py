"""The children of `datacanal up`: started, started again when they die, stopped together.

A child that ends with the exit code of wrong usage has refused its configuration. During the first start that stops
everything, with the child's own words as the cause. Later, when all of it has worked before, one part is no reason to
stop the others: whatever ends is started again after a growing pause.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

from datacanal import lifeline
from datacanal.cli.exits import DONE, WRONG_USAGE

_FIRST_PAUSE_S = 0.2
_LONGEST_PAUSE_S = 3.0
_SETTLED_S = 30.0
_TERM_S = 7.0
_LARGEST_LOG_BYTES = 20 * 2**20
_LINES_SHOWN = 12

Spawn = Callable[..., "subprocess.Popen[bytes]"]


@dataclass(frozen=True)
class Part:
    """One child: the arguments of its `datacanal` command, and the file for everything that it says.

    One that `serves_others` is stopped after them: they need it until they are gone.
    """

    name: str
    arguments: Sequence[str]
    log: Path
    serves_others: bool = False


@dataclass(frozen=True)
class Ended:
    """A child ended by itself, with this code (negative: by that signal)."""

    name: str
    code: int


@dataclass(frozen=True)
class Due:
    """The pause before a part is started again is over."""

    name: str


@dataclass(frozen=True)
class Ready:
    """Everything works for the first time."""


@dataclass(frozen=True)
class StopAsked:
    """Somebody wants all of it to stop."""


class Child:
    """One part and the process that is it now."""

    def __init__(self, part: Part, spawn: Spawn, clock: Callable[[], float]) -> None:
        self.part = part
        self.process: subprocess.Popen[bytes] | None = None
        self._spawn = spawn
        self._clock = clock
        self._pause_s = _FIRST_PAUSE_S
        self._started_at = 0.0
        self._log_offset = 0

    def start(self, events: SimpleQueue[object]) -> None:
        """Start the process; its end becomes an event."""
        _rotate(self.part.log)
        with self.part.log.open("ab") as log:
            self._log_offset = log.tell()
            process = self._spawn("datacanal.cli", self.part.arguments, stdout=log, stderr=log)
        self.process = process
        self._started_at = self._clock()
        threading.Thread(
            target=lambda: events.put(Ended(self.part.name, process.wait())), name=f"wait {self.part.name}", daemon=True
        ).start()

    def pause_s(self) -> float:
        """How long to wait before the next start: longer after each quick death."""
        if self._clock() - self._started_at > _SETTLED_S:
            self._pause_s = _FIRST_PAUSE_S
        pause_s, self._pause_s = self._pause_s, min(self._pause_s * 2, _LONGEST_PAUSE_S)
        return pause_s

    def said(self) -> str:
        """The last plain words of the newest process; its log events are for the log file."""
        with self.part.log.open("rb") as log:
            log.seek(self._log_offset)
            lines = log.read().decode("utf-8", "replace").splitlines()
        return "\n".join([line for line in lines if line.strip() and not line.startswith("{")][-_LINES_SHOWN:])

    def signal(self, number: int) -> None:
        """Send a signal to the process, if it still lives; KILL goes to its whole session."""
        if self.process is None or self.process.poll() is not None:
            return
        with suppress(ProcessLookupError):
            if number == signal.SIGKILL:
                os.killpg(self.process.pid, number)
            else:
                self.process.send_signal(number)

    def wait(self, timeout_s: float) -> None:
        """Until the process is gone, at most so long."""
        if self.process is not None:
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(max(timeout_s, 0))


class Supervisor:
    """Runs parts until it is asked to stop; whoever has not ended `patience_s` after that is killed.

    `tell` gets one message for people at a time.
    """

    def __init__(
        self,
        parts: Sequence[Part],
        tell: Callable[[str], None],
        *,
        spawn: Spawn = lifeline.spawn,
        clock: Callable[[], float] = time.monotonic,
        patience_s: float = _TERM_S,
    ) -> None:
        self._patience_s = patience_s
        self._children = {part.name: Child(part, spawn, clock) for part in parts}
        self._tell = tell
        self._clock = clock
        self._is_ready = False
        self._stops_asked = 0
        # SimpleQueue, because a signal handler puts into it while the main thread may be inside get.
        self._events: SimpleQueue[object] = SimpleQueue()

    def ask_stop(self) -> None:
        """Stop everything; asked again, without patience. Safe in a signal handler."""
        self._stops_asked += 1
        self._events.put(StopAsked())
        if self._stops_asked > 1:
            self._signal_all(signal.SIGKILL)

    def report_ready(self) -> None:
        """Tell that everything works; from now on a part that refuses to start is tried again too."""
        self._events.put(Ready())

    def run(self, on_ready: Callable[[], None]) -> int:
        """Start all parts and keep them running; gives the exit code once they are stopped."""
        try:
            for child in self._children.values():
                child.start(self._events)
            return self._watch(on_ready)
        finally:
            self._stop_all()

    def _watch(self, on_ready: Callable[[], None]) -> int:
        while True:
            match self._events.get():
                case StopAsked():
                    return DONE
                case Ready():
                    self._is_ready = True
                    on_ready()
                case Due(name):
                    self._children[name].start(self._events)
                case Ended(name, code):
                    if self._is_given_up(self._children[name], code):
                        return WRONG_USAGE

    def _is_given_up(self, child: Child, code: int) -> bool:
        name = child.part.name
        if code == WRONG_USAGE and not self._is_ready:
            self._tell(f"{name} does not start:\n{child.said()}")
            return True
        pause_s = child.pause_s()
        how = f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"
        last_words = "".join(f"\n{line}" for line in child.said().splitlines()[-2:])
        self._tell(f"{name} {how}; it is started again (its log: {child.part.log}){last_words}")
        timer = threading.Timer(pause_s, self._events.put, [Due(name)])
        timer.daemon = True
        timer.start()
        return False

    def _stop_all(self) -> None:
        """Sites first, so that they can still say goodbye to the control plane; whoever stays is killed."""
        ends_at = self._clock() + (self._patience_s if self._stops_asked < 2 else 0)
        for serves_others in (False, True):
            children = [child for child in self._children.values() if child.part.serves_others == serves_others]
            for child in reversed(children):
                child.signal(signal.SIGTERM)
            for child in children:
                child.wait(ends_at - self._clock())
        self._signal_all(signal.SIGKILL)
        for child in self._children.values():
            child.wait(1.0)

    def _signal_all(self, number: int) -> None:
        for child in self._children.values():
            child.signal(number)


def _rotate(log: Path) -> None:
    log.parent.mkdir(parents=True, exist_ok=True)
    if log.exists() and log.stat().st_size > _LARGEST_LOG_BYTES:
        log.replace(log.with_suffix(".log.1"))
