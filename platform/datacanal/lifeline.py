"""Child processes that never outlive their parent, however it dies.

The parent holds the write end of a pipe for as long as it lives; the child watches the read end and kills itself at
end of file. That holds for kill -9 of the parent, on every Unix, whichever thread made the child (the kernel's
parent-death signal fires when that *thread* ends).
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from typing import IO

VARIABLE = "DATACANAL_LIFELINE"
"""Holds the descriptor of the pipe (or socket) whose end is the parent's."""


def spawn(
    module: str,
    arguments: Sequence[str] = (),
    *,
    environment: Mapping[str, str] | None = None,
    stdin: int | IO[bytes] | None = subprocess.DEVNULL,
    stdout: int | IO[bytes] | None = None,
    stderr: int | IO[bytes] | None = None,
    pass_fds: Sequence[int] = (),
) -> subprocess.Popen[bytes]:
    """Start `python -m module arguments` with a lifeline to this process.

    The child's main must call `hold_on()` first. The child leads a session of its own, so that a Ctrl-C on the
    terminal reaches the parent alone, which then stops its children in order.
    """
    read_end, write_end = os.pipe()
    try:
        child = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            env={**(os.environ if environment is None else environment), VARIABLE: str(read_end)},
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            pass_fds=(read_end, *pass_fds),
            start_new_session=True,
        )
    except BaseException:
        os.close(write_end)
        raise
    finally:
        os.close(read_end)
    # The write end lives exactly as long as the handle: a closed handle would kill a child that still works.
    child._datacanal_lifeline = _WriteEnd(write_end)  # type: ignore[attr-defined]
    return child


class _WriteEnd:
    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def __del__(self) -> None:
        os.close(self._descriptor)


def hold_on() -> None:
    """In a child made by `spawn`: die when the parent dies. Without a lifeline (started by hand) it does nothing."""
    descriptor = os.environ.pop(VARIABLE, None)
    if descriptor is not None:
        threading.Thread(target=_watch, args=(int(descriptor),), name="lifeline", daemon=True).start()


def _watch(descriptor: int) -> None:
    os.set_inheritable(descriptor, False)
    while os.read(descriptor, 1):
        pass
    os.kill(os.getpid(), signal.SIGKILL)
