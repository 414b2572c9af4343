"""Home directories: one process at a time works in one, and their secrets are for their owner only."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from datacanal.domain.errors import AlreadyRunning

PUBLIC_CERTIFICATE = "control.pem"
GATEWAY_CERTIFICATE = "gateway.pem"
"""In the control plane's home: what clients trust (DATACANAL_CA) where its public door made its own certificate."""
SITE_CERTIFICATE = "certificate.pem"
"""In a site's home: what others pin."""
SITE_MEMBERSHIP = "control.json"
"""In a site's home: what it pinned when it joined."""
SITE_TOKEN = "token"  # noqa: S105  # the name of a file
"""In a site's home until it joined: the one-time token."""

_KEY_BYTES = 32


@contextmanager
def only_one(home: Path, lock: str) -> Iterator[None]:
    """Hold the lock file of that name in the home, made if need be; it ends with the process, however that ends.

    Raises `AlreadyRunning` where another process holds it, and `OSError` where the home cannot be written.
    """
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(home / lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyRunning(home=str(home)) from None
        yield
    finally:
        os.close(descriptor)


def write_secret(file: Path, content: bytes) -> None:
    """Whole or not at all, durably, and never readable by others, not even for a moment."""
    unfinished = file.with_name(f".{file.name}.new")
    unfinished.unlink(missing_ok=True)
    with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    unfinished.replace(file)


def kept_secret(home: Path, name: str, make: Callable[[], bytes]) -> bytes:
    """The content of a secret file of the home, made by whoever asks first, of all processes."""
    with (home / f"{name}.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        file = home / name
        if not file.is_file():
            write_secret(file, make())
        return file.read_bytes()


def kept_key(home: Path, name: str) -> bytes:
    """A key of 32 random bytes, kept in hex."""
    return bytes.fromhex(kept_secret(home, name, lambda: os.urandom(_KEY_BYTES).hex().encode()).decode("ascii"))
