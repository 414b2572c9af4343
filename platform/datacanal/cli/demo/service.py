"""A whole service of the demonstration's own: `datacanal up` as a child, on ports that were free."""

from __future__ import annotations

import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from datacanal import lifeline
from datacanal.cli.init import Layout
from datacanal.domain.errors import StartFailed

_STOP_S = 12.0


def free_layout() -> Layout:
    """Ports of the loopback that nobody listens on now, all different."""
    with ExitStack() as stack:
        listening = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(4)]
        control, gateway, core, people = (server.getsockname()[1] for server in listening)
    return Layout(control, gateway, core, people, workers=1, publish=True)


@contextmanager
def running_service(configuration: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The service, once it is ready; stopped at the end of the block. Raises `StartFailed` when it does not start."""
    process = lifeline.spawn("datacanal.cli", ["up", "--config", str(configuration)], stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None  # noqa: S101  # it was asked for a pipe
        if not process.stdout.readline().startswith(b"ready: "):
            raise StartFailed(what="the service", reason=f"`datacanal up` ended with code {process.wait()}, see above")
        yield process
    finally:
        _stop(process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()
