"""A container engine of the test's own, which may be stopped and killed: it shares nothing with the machine's."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import docker

_WITHIN_S = 60.0


@dataclass
class OwnEngine:
    """Its files are in `folder`; images are kept over its lives."""

    folder: Path
    process: subprocess.Popen[bytes] | None = None

    @property
    def host(self) -> str:
        return f"unix://{self.folder}/engine.sock"

    def start(self) -> None:
        """Return when it answers."""
        command = [
            # In a network of its own, so that it leaves the rules of the machine's engine alone.
            *("unshare", "--net", "dockerd", "--host", self.host, "--data-root", str(self.folder / "data")),
            *("--exec-root", str(self.folder / "run"), "--pidfile", str(self.folder / "engine.pid")),
            *("--bridge", "none"),
        ]
        with (self.folder / "engine.log").open("ab") as log:
            self.process = _started(command, log)
        until = time.monotonic() + _WITHIN_S
        while not self._answers():
            assert time.monotonic() < until, (self.folder / "engine.log").read_text()[-3000:]
            time.sleep(0.1)

    def stop(self) -> None:
        """As an operator does; the engine ends its containers with itself."""
        assert self.process is not None
        self.process.terminate()
        self.process.wait(_WITHIN_S)

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait(_WITHIN_S)
        # Its containerd dies with it; where nobody reaps it, its number would be taken for one that lives.
        for file in (self.folder / "engine.pid", self.folder / "run" / "containerd" / "containerd.pid"):
            file.unlink(missing_ok=True)

    def client(self) -> docker.DockerClient:
        return docker.DockerClient(self.host)

    def _answers(self) -> bool:
        # By hand, for the library leaves the socket open over which nobody answered.
        with socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.connect(self.host.removeprefix("unix://"))
                probe.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
                return b" 200 " in probe.recv(64)
            except OSError:
                return False


@contextmanager
def own_engine(folder: Path, image: str) -> Iterator[OwnEngine]:
    """It has that image of the machine's engine."""
    engine = OwnEngine(folder)
    engine.start()
    try:
        with closing(docker.from_env()) as machine, closing(engine.client()) as client:
            client.api.load_image(machine.images.get(image).save(named=image))
        yield engine
    finally:
        with closing(engine.client()) as client:
            for container in client.containers.list(all=True, ignore_removed=True):
                container.remove(force=True)
        engine.stop()
        # One that was killed has left its data mounted on itself.
        command = [shutil.which("umount") or "/bin/umount", "--recursive", "--lazy", str(folder / "data")]
        subprocess.run(command, capture_output=True, check=False)


def _started(command: list[str], log: IO[bytes]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True)
