"""Files: what is not the job's to read, to write, or to run."""

from __future__ import annotations

import hashlib
import mmap
import os
import shutil
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.e2e.probes.attempt import Facts, first_through, one, probe

_OWN = ("/tmp", "/work", "/dev/shm", "/dev/mqueue")  # noqa: S108  # in the container
_HARMLESS = ["null", "zero", "full", "random", "urandom", "tty", "ptmx", "core", "stdin", "stdout", "stderr"]
_LARGEST = 4 * 2**20


def write(path: str) -> bool:
    with Path(path, "planted").open("w") as file:
        return one(file.write("x"))


def entries(folder: str) -> list[str]:
    return [path.name for path in Path(folder).iterdir()]


def append(path: str) -> bool:
    with Path(path).open("ab", buffering=0) as file:
        return one(file)


def read(path: str) -> bytes:
    with Path(path).open("rb") as file:
        return file.read(64)


def rewrite(path: str) -> bool:
    """With the very value that it has."""
    value = Path(path).read_bytes()
    with Path(path).open("wb", buffering=0) as file:
        return one(file.write(value))


def staged() -> str:
    return str(next(path for path in Path("/stage").rglob("*") if path.is_file()))


def run_from(folder: str) -> bool:
    program = Path(folder, "program")
    try:
        shutil.copy("/bin/true", program)
        program.chmod(0o755)
        return one(subprocess.run([program], check=True))
    finally:
        program.unlink(missing_ok=True)


def mapped_from(folder: str) -> object:
    """Code that is mapped rather than started."""
    code = Path(folder, "code")
    code.write_bytes(b"\xc3" * 4096)
    try:
        with code.open("rb") as file:
            return one(mmap.mmap(file.fileno(), 4096, prot=mmap.PROT_READ | mmap.PROT_EXEC, flags=mmap.MAP_PRIVATE))
    finally:
        code.unlink()


def with_bits() -> list[str]:
    """Programs that would run as somebody else."""
    found = []
    for path in walked("/"):
        status = path.lstat()
        if stat.S_ISREG(status.st_mode) and status.st_mode & (stat.S_ISUID | stat.S_ISGID) and os.access(path, os.X_OK):
            found.append(str(path))
    return found


def walked(top: str, *, leave: tuple[str, ...] = ("/proc", "/sys")) -> Iterator[Path]:
    for folder, folders, files in os.walk(top):
        folders[:] = [name for name in folders if str(Path(folder, name)) not in leave]
        yield from (Path(folder, name) for name in files)


def writable_places() -> list[str]:
    """Folders that take a file, besides the job's own."""
    found = []
    for folder, folders, _ in os.walk("/"):
        folders[:] = [name for name in folders if str(Path(folder, name)) not in ("/proc", *_OWN)]
        try:
            write(folder)
            found.append(folder)
        except OSError:
            continue
    return found


def devices() -> list[str]:
    """Disks, memory and terminals of the machine, if any can be opened; not what every container has."""
    places = walked("/dev", leave=("/dev/pts", "/dev/shm", "/dev/mqueue", "/dev/fd"))  # noqa: S108  # the same
    return [str(path) for path in places if path.name not in _HARMLESS and os.access(path, os.R_OK)]


def holding(needle: bytes) -> list[str]:
    """Where the words stand: environments, command lines, and every file that can be read."""
    found = [name for name, value in os.environ.items() if needle in f"{name}={value}".encode()]
    told = [
        path for name in ("environ", "cmdline", "status", "mountinfo") for path in Path("/proc").glob(f"[0-9]*/{name}")
    ]
    places = [path for path in walked("/", leave=("/proc", "/sys", "/usr")) if path.is_file()]
    for path in [*told, *places]:
        try:
            with path.open("rb") as file:
                if needle in file.read(_LARGEST):
                    found.append(str(path))
        except OSError:
            continue
    return found


def same_key(digest: str) -> list[str]:
    """Files that are the other job's TLS key."""
    found = []
    for path in walked("/", leave=("/proc", "/sys", "/usr")):
        try:
            if path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == digest:
                found.append(str(path))
        except OSError:
            continue
    return found


def of_other_processes(name: str) -> object:
    """A file of the processes that are not the job's own user's (the init process is)."""
    others = [path for path in Path("/proc").glob("[0-9]*") if path.stat().st_uid != os.getuid()]
    return first_through(lambda path=path: read(str(path / name)) for path in others)


def climbing(facts: Facts) -> bytes:
    return read(f"/stage/../../../../../..{facts.home}/datacanal.toml")


FILES = {
    "another job's stage": probe(lambda facts: entries(facts.other_stage), "ENOENT", opens=False),
    "another container's channel": probe(lambda facts: entries(facts.other_channel), "ENOENT", opens=False),
    "the site's home": probe(lambda facts: entries(facts.home), "ENOENT", opens=False),
    "the home by climbing out of the stage": probe(climbing, "ENOENT", opens=False),
    "the lake itself": probe(lambda facts: entries(facts.own_lake), "ENOENT", opens=False),
    "a new file on the stage": probe(lambda _: write("/stage"), "EROFS", opens=False),
    "a change to a staged file": probe(lambda _: append(staged()), "EROFS", opens=False),
    "the removal of a staged file": probe(lambda _: one(Path(staged()).unlink()), "EROFS", opens=False),
    "new rights on a staged file": probe(lambda _: one(Path(staged()).chmod(0o777)), "EROFS", opens=False),
    "a new file in the channel": probe(lambda _: write("/run/datacanal"), "EROFS", opens=False),
    "the removal of the channel's socket": probe(
        lambda _: one(Path("/run/datacanal/agent").unlink()), "EROFS", opens=False
    ),
    "shadow passwords": probe(lambda _: read("/etc/shadow"), "EACCES"),
    "a new user": probe(lambda _: append("/etc/passwd"), "EACCES"),
    "the root folder": probe(lambda _: write("/"), "EROFS"),
    "the program files": probe(lambda _: write("/usr/bin"), "EROFS"),
    "our own code": probe(lambda _: append(os.__file__), "EACCES"),
    "hosts": probe(lambda _: append("/etc/hosts"), "EACCES"),
    "the name server": probe(lambda _: append("/etc/resolv.conf"), "EACCES"),
    "any other writable folder": probe(lambda _: writable_places(), "nothing"),
    "a program in /tmp": probe(lambda _: run_from("/tmp"), "EACCES"),  # noqa: S108  # in the container
    "a program in /work": probe(lambda _: run_from("/work"), "EACCES", opens=False),
    "a program in /dev/shm": probe(lambda _: run_from("/dev/shm"), "EACCES", opens=False),  # noqa: S108  # the same
    "code mapped from /tmp": probe(lambda _: mapped_from("/tmp"), "EPERM"),  # noqa: S108  # in the container
    "a program with another's rights": probe(lambda _: with_bits(), "nothing", opens=False),
    "a disk or the memory as a device": probe(lambda _: devices(), "nothing"),
    "/dev/mem": probe(lambda _: read("/dev/mem"), "ENOENT", opens=False),
    "/proc/kcore": probe(lambda _: read("/proc/kcore"), "EACCES", "ENOENT", "nothing", opens=False),
    "/proc/kmsg": probe(lambda _: one(os.close(os.open("/proc/kmsg", os.O_RDONLY))), "EACCES", "EPERM"),
    "/proc/sys": probe(lambda _: rewrite("/proc/sys/vm/swappiness"), "EACCES", "EROFS", opens=False),
    "/proc/sys/kernel/core_pattern": probe(
        lambda _: rewrite("/proc/sys/kernel/core_pattern"), "EACCES", "EROFS", opens=False
    ),
    "/proc/sysrq-trigger": probe(lambda _: append("/proc/sysrq-trigger"), "EACCES", "EROFS", "ENOENT", opens=False),
    "/proc/timer_list": probe(lambda _: read("/proc/timer_list"), "EACCES", "ENOENT", "nothing", opens=False),
    "/sys": probe(lambda _: rewrite("/sys/kernel/mm/ksm/run"), "EACCES", "EROFS", "ENOENT", opens=False),
    "/sys/fs/cgroup": probe(
        lambda _: one(Path("/sys/fs/cgroup/memory/planted").mkdir()), "EROFS", "ENOENT", opens=False
    ),
    "its own memory limit": probe(
        lambda _: rewrite("/sys/fs/cgroup/memory/memory.limit_in_bytes"), "EACCES", "EROFS", "ENOENT", opens=False
    ),
    "the kernel's own addresses": probe(
        lambda _: [line for line in Path("/proc/kallsyms").read_text().splitlines()[:99] if int(line.split()[0], 16)],
        "nothing",
        "ENOENT",
        opens=False,
    ),
    "Docker's socket": probe(lambda facts: read(facts.docker), "ENOENT", opens=False),
    "Docker's other sockets": probe(
        lambda _: first_through(
            lambda path=path: os.stat(path)  # noqa: PTH116  # the plain call
            for path in (
                "/run/docker.sock",
                "/run/containerd/containerd.sock",
                "/var/run/containerd",
                "/var/lib/docker",
            )
        ),
        "ENOENT",
        opens=False,
    ),
    "the canary of the agent": probe(lambda facts: holding(facts.canary[::-1].encode()), "nothing"),
    "another job's TLS key": probe(lambda facts: same_key(facts.key_digest), "nothing", opens=False),
    "environments of other users": probe(lambda _: of_other_processes("environ"), "nothing", opens=False),
    "the agent's environment": probe(lambda facts: read(f"/proc/{facts.agent}/environ"), "ENOENT"),
    "the agent's files": probe(lambda facts: entries(f"/proc/{facts.agent}/root"), "ENOENT"),
    "the other job's memory": probe(
        lambda facts: one(os.close(os.open(f"/proc/{facts.other_driver}/mem", os.O_RDWR))), "ENOENT"
    ),
    "the engine's init program": probe(lambda _: append("/proc/1/exe"), "EACCES", "EROFS", "ETXTBSY", opens=False),
}
