"""A PostgreSQL server for tests, of the distribution's programs: a private one, ended with the tests.

It runs as an unprivileged user, in a folder of its own, and answers on a Unix socket there. Tests that need it carry
the mark `postgres`; where the programs are not there they are skipped (`.ci/postgres` installs them).
"""

from __future__ import annotations

import ctypes
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import psutil
import psycopg
import pytest

from datacanal.control.store.opening import Store, open_store
from datacanal.ledger.store import LedgerStore, open_ledger
from datacanal.storage.places import EMBEDDED
from datacanal.testing.clock_fake import FakeClock
from datacanal.testing.control_house import NAMED_IN

ABSENT = "no PostgreSQL here (/usr/lib/postgresql): .ci/postgres installs it"
_PROGRAMS = Path("/usr/lib/postgresql")
_USER = "administrator"
_EMPTY = "empty"
_ANSWER_S = 30.0
_SETTINGS = ("listen_addresses=", "fsync=on", "shared_buffers=16MB", "max_connections=60", "timezone=Asia/Tokyo")
_DEATH_OF_PARENT = 1
"""PR_SET_PDEATHSIG: what is left of a killed test run ends by itself, with the thread that began it."""


def programs() -> Path | None:
    """The folder of the newest PostgreSQL of this machine."""
    found = sorted(_PROGRAMS.glob("*/bin/initdb"), key=lambda each: float(each.parts[-3]))
    return found[-1].parent if found else None


class PostgresServer:
    """One server with its data. `kill` is kill -9 of all of its processes; `start` starts it again."""

    def __init__(self, programs: Path, folder: Path) -> None:
        self._programs = programs
        self._folder = folder
        self._user = _unprivileged()
        self._process: subprocess.Popen[bytes] | None = None
        self._parent = ThreadPoolExecutor(1, "postgres")
        if self._user is not None:
            os.chown(folder, self._user.pw_uid, self._user.pw_gid)
        self._make()

    def url(self, database: str, user: str = _USER) -> str:
        """What `[control] database` says for that database."""
        return f"postgresql+psycopg://{user}@/{database}?host={self._folder}"

    def run(self, statement: str, database: str = "postgres") -> list[tuple[object, ...]]:
        """One statement outside of any transaction."""
        with self.connected(database) as connection:
            done = connection.execute(statement)  # type: ignore[call-overload]  # our own statements
            return done.fetchall() if done.description else []

    def connected(self, database: str = "postgres", user: str = _USER) -> psycopg.Connection[tuple[object, ...]]:
        """A connection that commits by itself."""
        return psycopg.connect(host=str(self._folder), user=user, dbname=database, autocommit=True)

    def start(self) -> None:
        """Start it and wait until it answers, which after a crash is when it has recovered."""
        until = time.monotonic() + _ANSWER_S
        while self._process is None or self._process.poll() is not None:  # the dead one's memory may still be in use
            assert time.monotonic() < until, (self._folder / "log").read_text(errors="replace")[-2000:]
            self._process = self._parent.submit(self._spawn).result()
            self._await_answer(until)

    def kill(self) -> None:
        """kill -9 of the server and of every process of it."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)  # or it makes another one while we look
        processes = psutil.Process(self._process.pid).children(recursive=True)
        self._process.kill()
        for each in processes:
            with suppress(psutil.NoSuchProcess):
                each.kill()
        psutil.wait_procs(processes, timeout=_ANSWER_S)
        self._process.wait()

    def stop(self) -> None:
        """End it at once; its sessions are broken off."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait(_ANSWER_S)
        self._parent.shutdown()

    def _make(self) -> None:
        data = str(self._folder / "data")
        make = [self._programs / "initdb", "-D", data, "-U", _USER, "-A", "trust", "-E", "UTF8", "--locale=C", "-N"]
        subprocess.run(make, check=True, capture_output=True, **self._as_user())

    def _spawn(self) -> subprocess.Popen[bytes]:
        settings = [f"--{each}" for each in (*_SETTINGS, f"unix_socket_directories={self._folder}")]
        with (self._folder / "log").open("ab") as log:
            return subprocess.Popen(
                [self._programs / "postgres", "-D", self._folder / "data", *settings],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=_end_with_parent,
                **self._as_user(),
            )

    def _await_answer(self, until: float) -> None:
        assert self._process is not None
        while self._process.poll() is None and time.monotonic() < until:
            with suppress(psycopg.OperationalError):
                self.connected().close()
                return
            time.sleep(0.02)

    def _as_user(self) -> dict[str, object]:
        environment = {"PATH": os.environ["PATH"], "LC_ALL": "C"}
        more: dict[str, object] = {"cwd": self._folder, "env": environment}
        if self._user is None:
            return more
        return {**more, "user": self._user.pw_uid, "group": self._user.pw_gid, "extra_groups": []}


def _end_with_parent() -> None:
    ctypes.CDLL(None).prctl(_DEATH_OF_PARENT, signal.SIGQUIT)


def _unprivileged() -> pwd.struct_passwd | None:
    """Whom it runs as where we are root, which it refuses."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam("postgres")
    except KeyError:
        return pwd.getpwnam("nobody")


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """The server, with the stores' empty schemas in a database that others are made from."""
    found = programs()
    if found is None:
        pytest.skip(ABSENT)
    folder = Path(tempfile.mkdtemp(prefix="datacanal-postgres-"))
    server = PostgresServer(found, folder)
    try:
        server.start()
        server.run(f"CREATE DATABASE {_EMPTY}")
        open_ledger(folder, server.url(_EMPTY)).close()
        open_store(folder, FakeClock(), server.url(_EMPTY)).dispose()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder)


@pytest.fixture
def postgres_database(postgres: PostgresServer) -> Iterator[str]:
    """The address of a database of this test alone, whose stores are migrated and empty."""
    name = f"test_{secrets.token_hex(6)}"
    postgres.run(f"CREATE DATABASE {name} TEMPLATE {_EMPTY}")
    yield postgres.url(name)
    postgres.run(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(params=[EMBEDDED, pytest.param("postgresql", marks=pytest.mark.postgres)])
def any_database(request: pytest.FixtureRequest) -> str:
    """What `[control] database` says: a test with it is run on both kinds."""
    return EMBEDDED if request.param == EMBEDDED else str(request.getfixturevalue("postgres_database"))


@pytest.fixture
def any_home(any_database: str, tmp_path: Path) -> Path:
    """The home of a control plane for tests, on both kinds of database."""
    (tmp_path / NAMED_IN).write_text(any_database)
    return tmp_path


@pytest.fixture
def any_ledger(any_database: str, tmp_path: Path) -> Iterator[LedgerStore]:
    """An empty book, on both kinds of database."""
    store = open_ledger(tmp_path / "home", any_database)
    yield store
    store.close()


@pytest.fixture
def any_store(any_database: str, tmp_path: Path) -> Iterator[Store]:
    """An empty state store, on both kinds of database."""
    store = open_store(tmp_path / "home", FakeClock(), any_database)
    yield store
    store.dispose()
