"""Children are started again when they die, given up when they refuse, and gone when all of it stops."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from queue import SimpleQueue

import pytest

from datacanal.cli.supervisor import Part, Supervisor

WORKS = "print('armed', flush=True); import time; time.sleep(600)"
IGNORES_TERM = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {WORKS}"
REFUSES = "import sys; print('{\"event\": 1}'); print('port_in_use: taken'); print('Choose another.'); sys.exit(2)"
_WITHIN_S = 30


class Stage:
    """A supervisor in a thread, over processes that run scripts; `started` gives each one once it is armed."""

    def __init__(self, scripts: dict[str, str], folder: Path, patience_s: float = 10, serves_others: str = "") -> None:
        self.scripts = scripts
        self.told: SimpleQueue[str] = SimpleQueue()
        self.started: SimpleQueue[subprocess.Popen[bytes]] = SimpleQueue()
        self.processes: list[subprocess.Popen[bytes]] = []
        parts = [Part(name, [name], folder / f"{name}.log", serves_others=name == serves_others) for name in scripts]
        self.supervisor = Supervisor(parts, self.told.put, spawn=self.spawn, patience_s=patience_s)
        self.code: int | None = None
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self) -> None:
        self.code = self.supervisor.run(lambda: None)

    def spawn(self, _module: str, arguments: list[str], *, stdout: object, stderr: object) -> subprocess.Popen[bytes]:
        script = self.scripts[arguments[0]]
        if "armed" not in script:
            return subprocess.Popen([sys.executable, "-c", script], stdout=stdout, start_new_session=True)  # type: ignore[call-overload, no-any-return]  # a file
        process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, start_new_session=True)
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
        self.processes.append(process)
        self.started.put(process)
        return process

    def end(self) -> int | None:
        self.thread.join(_WITHIN_S)
        assert not self.thread.is_alive()
        assert all(process.poll() is not None for process in self.processes)
        return self.code


@pytest.fixture
def stages() -> Iterator[list[Stage]]:
    """Stages that are stopped however the test ends."""
    made: list[Stage] = []
    yield made
    for stage in made:
        stage.supervisor.ask_stop()
        stage.thread.join(_WITHIN_S)


def test_asked_to_stop_it_stops_every_child(tmp_path: Path, stages: list[Stage]) -> None:
    stages.append(stage := Stage({"control": WORKS, "site": WORKS}, tmp_path))
    for _ in stage.scripts:
        stage.started.get(timeout=_WITHIN_S)
    stage.supervisor.ask_stop()
    assert stage.end() == 0


def test_a_child_that_is_killed_is_started_again(tmp_path: Path, stages: list[Stage]) -> None:
    stages.append(stage := Stage({"site": WORKS}, tmp_path))
    stage.started.get(timeout=_WITHIN_S).kill()
    assert stage.started.get(timeout=_WITHIN_S).poll() is None
    assert "was killed by signal 9" in stage.told.get(timeout=_WITHIN_S)
    stage.supervisor.ask_stop()
    assert stage.end() == 0


def test_a_child_that_refuses_stops_all_and_its_words_are_shown(tmp_path: Path, stages: list[Stage]) -> None:
    stages.append(stage := Stage({"control": WORKS, "site": REFUSES}, tmp_path))
    assert stage.end() == 2
    assert stage.told.get(timeout=_WITHIN_S) == "site does not start:\nport_in_use: taken\nChoose another."


def test_a_child_that_ignores_the_request_is_killed(tmp_path: Path, stages: list[Stage]) -> None:
    stages.append(stage := Stage({"site": IGNORES_TERM}, tmp_path, patience_s=0.1))
    process = stage.started.get(timeout=_WITHIN_S)
    stage.supervisor.ask_stop()
    assert stage.end() == 0
    assert process.returncode == -signal.SIGKILL


def test_a_part_that_serves_others_stops_after_them(tmp_path: Path, stages: list[Stage]) -> None:
    order = tmp_path / "order"
    last_words = (
        "import signal, sys, time; leave = lambda *_: (open({file!r}, 'a').write('{name} '), sys.exit());"
        " signal.signal(signal.SIGTERM, leave); print('armed', flush=True); time.sleep(600)"
    )
    scripts = {name: last_words.format(file=str(order), name=name) for name in ("launcher", "control", "site")}
    stages.append(stage := Stage(scripts, tmp_path, serves_others="launcher"))
    for _ in scripts:
        stage.started.get(timeout=_WITHIN_S)
    stage.supervisor.ask_stop()
    assert stage.end() == 0
    assert order.read_text().split()[-1] == "launcher"


def test_asked_twice_it_kills_without_patience(tmp_path: Path, stages: list[Stage]) -> None:
    stages.append(stage := Stage({"site": IGNORES_TERM}, tmp_path, patience_s=600))
    process = stage.started.get(timeout=_WITHIN_S)
    stage.supervisor.ask_stop()
    stage.supervisor.ask_stop()
    assert stage.end() == 0
    assert process.returncode == -signal.SIGKILL


def test_a_log_that_has_grown_large_is_put_aside(tmp_path: Path, stages: list[Stage]) -> None:
    with (tmp_path / "site.log").open("wb") as log:
        log.truncate(2**25)
    stages.append(stage := Stage({"site": REFUSES}, tmp_path))
    assert stage.end() == 2
    assert (tmp_path / "site.log.1").stat().st_size == 2**25
    assert (tmp_path / "site.log").stat().st_size < 1000
