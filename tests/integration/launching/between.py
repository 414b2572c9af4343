"""A socket in front of the engine's: where its requests can be held up, and where nobody may answer any more."""

from __future__ import annotations

import re
import socket
import threading
from contextlib import suppress
from pathlib import Path

WAIT_S = 20
_CHUNK = 64 * 1024


class EngineBetween:
    """Passes everything on, both ways, until told otherwise."""

    def __init__(self, place: Path, engine: Path) -> None:
        self.place = place
        self._engine = engine
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._pattern: re.Pattern[bytes] | None = None
        self._held = threading.Event()
        self._decided = threading.Event()
        self._passes = True
        self.answer()

    @property
    def docker_host(self) -> str:
        return f"unix://{self.place}"

    def answer(self) -> None:
        """From now on somebody is there."""
        self.place.unlink(missing_ok=True)
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(self.place))
        self._listening.listen(64)
        threading.Thread(target=self._accept, args=(self._listening,), daemon=True).start()

    def go_away(self) -> None:
        """As an engine that is stopped."""
        self.decide(passes=False)
        self.place.unlink(missing_ok=True)
        _end(self._listening)
        with self._lock:
            for connection in self._open:
                _end(connection)

    def hold(self, pattern: bytes) -> None:
        """Keep the next request whose first line is like this."""
        self._held.clear()
        self._decided.clear()
        self._pattern = re.compile(pattern)

    def wait_until_held(self) -> None:
        assert self._held.wait(WAIT_S), f"nobody asked {self._pattern}"

    def decide(self, *, passes: bool) -> None:
        """Pass on what was held, or forget it."""
        self._passes = passes
        self._decided.set()

    def _accept(self, listening: socket.socket) -> None:
        with suppress(OSError):
            while True:
                caller, _ = listening.accept()
                engine = socket.socket(socket.AF_UNIX)
                engine.connect(str(self._engine))
                with self._lock:
                    self._open |= {caller, engine}
                for pair in ((caller, engine), (engine, caller)):
                    threading.Thread(target=self._pump, args=(*pair, pair[0] is caller), daemon=True).start()

    def _pump(self, source: socket.socket, target: socket.socket, is_asking: bool) -> None:
        with suppress(OSError):
            while chunk := source.recv(_CHUNK):
                if not is_asking or self._may_pass(chunk):
                    target.sendall(chunk)
            target.shutdown(socket.SHUT_WR)

    def _may_pass(self, request: bytes) -> bool:
        pattern = self._pattern
        if pattern is None or not pattern.match(request):
            return True
        self._pattern = None
        self._held.set()
        return self._decided.wait(WAIT_S) and self._passes


def _end(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()
