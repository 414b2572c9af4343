"""Mounts, namespaces, capabilities and system calls."""

from __future__ import annotations

import ctypes
import os
import resource
import socket
import stat
import time
from pathlib import Path

from tests.e2e.probes.attempt import called, entered, in_child, one, probe

_BIND = 4096
_REMOUNT = 32
_NEW_USER, _NEW_MOUNTS, _NEW_NETWORK, _NEW_PIDS = 0x10000000, 0x00020000, 0x40000000, 0x20000000
_SEIZE = 0x4206
_FORCED_BUFFER = 33
_PIDS = 4000
_MANY_FILES = 2**20


def mount(source: bytes, target: bytes, kind: bytes, flags: int = 0) -> bool:
    return in_child(lambda: called("mount", source, target, kind, flags, None))


def alone(flags: int) -> bool:
    return in_child(lambda: called("unshare", flags))


def capabilities(name: str) -> int:
    status = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1], 16) for line in status if line.startswith(f"{name}:"))


def can_gain() -> bool:
    status = Path("/proc/self/status").read_text().splitlines()
    return "NoNewPrivs:\t1" not in status


def is_unfiltered() -> bool:
    return "Seccomp:\t2" not in Path("/proc/self/status").read_text().splitlines()


def is_root() -> bool:
    return 0 in (*os.getresuid(), *os.getresgid(), *os.getgroups())


def owned() -> bool:
    file = Path("/tmp/own")  # noqa: S108  # in the container
    file.touch()
    try:
        return one(os.chown(file, 0, 0))
    finally:
        file.unlink(missing_ok=True)


def device(kind: int, major: int, minor: int) -> bool:
    path = Path("/tmp/device")  # noqa: S108  # in the container
    try:
        return one(os.mknod(path, kind | 0o600, os.makedev(major, minor)))
    finally:
        path.unlink(missing_ok=True)


def packets() -> bool:
    socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 3).close()
    return True


def raw() -> bool:
    socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP).close()
    return True


def forced_buffer() -> bool:
    """The right to run the network allows it."""
    with socket.socket() as line:
        return one(line.setsockopt(socket.SOL_SOCKET, _FORCED_BUFFER, 1))


def own_name() -> tuple[bytes, int]:
    name = os.uname().nodename.encode()
    return name, len(name)


def clock() -> bool:
    """To the very time that it is."""
    return one(time.clock_settime(time.CLOCK_REALTIME, time.clock_gettime(time.CLOCK_REALTIME)))


def kill_all() -> bool:
    """Whether anything outside this container can be signalled at all: nothing but its own is seen."""
    seen = {int(path.name) for path in Path("/proc").glob("[0-9]*")}
    outside = [pid for pid in range(2, _PIDS) if pid not in seen]
    reached = []
    for pid in outside:
        try:
            os.kill(pid, 0)
            reached.append(pid)
        except ProcessLookupError:
            continue
    threads = {int(path.name) for path in Path("/proc").glob("[0-9]*/task/[0-9]*")}
    return bool(set(reached) - threads)


def more_files() -> bool:
    wanted = (ctypes.c_uint64 * 2)(_MANY_FILES, _MANY_FILES)
    return in_child(lambda: called("prlimit", 0, resource.RLIMIT_NOFILE, wanted, None))


def read_memory(pid: int) -> bool:
    """The first bytes of the program's own code."""
    return bool(entered("process_vm_readv", pid, _vector(), 1, _vector(), 1, 0))


def _vector() -> ctypes.Array[ctypes.c_size_t]:
    page = ctypes.create_string_buffer(64)
    return (ctypes.c_size_t * 2)(ctypes.addressof(page), 64)


def watching() -> bool:
    """A program's counters, of all processes."""
    attributes = ctypes.create_string_buffer(128)
    attributes[4:8] = (128).to_bytes(4, "little")
    os.close(entered("perf_event_open", attributes, -1, 0, -1, 0))
    return True


def by_handle() -> bool:
    """The way out of a container by inode number."""
    handle = ctypes.create_string_buffer(
        (8).to_bytes(4, "little") + (1).to_bytes(4, "little") + (2).to_bytes(8, "little")
    )
    folder = os.open("/etc/hosts", os.O_RDONLY)
    try:
        os.close(entered("open_by_handle_at", folder, handle, os.O_RDONLY))
    finally:
        os.close(folder)
    return True


def module() -> bool:
    """Nonsense, so that even a kernel that would load modules loads none."""
    return entered("init_module", b"\x7fnonsense", 8, b"") == 0


KERNEL = {
    "a tmpfs of its own": probe(lambda _: mount(b"none", b"/mnt", b"tmpfs"), "EPERM"),
    "proc anew": probe(lambda _: mount(b"proc", b"/mnt", b"proc"), "EPERM"),
    "a folder bound over another": probe(lambda _: mount(b"/tmp", b"/etc", b"", _BIND), "EPERM"),
    "the root writable": probe(lambda _: mount(b"none", b"/", b"", _REMOUNT), "EPERM"),
    "the stage writable": probe(lambda _: mount(b"none", b"/stage", b"", _REMOUNT | _BIND), "EPERM", opens=False),
    "a mask taken off": probe(lambda _: in_child(lambda: called("umount2", b"/proc/kcore", 2)), "EPERM", opens=False),
    "another root": probe(lambda _: in_child(lambda: entered("pivot_root", b"/tmp", b"/tmp")), "EPERM", opens=False),
    "chroot": probe(lambda _: in_child(lambda: os.chroot("/tmp")), "EPERM"),  # noqa: S108  # in the container
    "a file system context": probe(lambda _: one(os.close(entered("fsopen", b"tmpfs", 0))), "EPERM", "ENOSYS"),
    "a user namespace": probe(lambda _: alone(_NEW_USER), "EPERM"),
    "a mount namespace": probe(lambda _: alone(_NEW_MOUNTS), "EPERM"),
    "a network namespace": probe(lambda _: alone(_NEW_NETWORK), "EPERM"),
    "a namespace of processes": probe(lambda _: alone(_NEW_PIDS), "EPERM"),
    "the init process's namespaces": probe(
        lambda _: in_child(lambda: called("setns", os.open("/proc/1/ns/mnt", os.O_RDONLY), 0)),
        "EPERM",
        "EACCES",
        opens=False,
    ),
    "effective capabilities": probe(lambda _: capabilities("CapEff"), "nothing"),
    "permitted capabilities": probe(lambda _: capabilities("CapPrm"), "nothing"),
    "bounding capabilities": probe(lambda _: capabilities("CapBnd"), "nothing"),
    "ambient capabilities": probe(lambda _: capabilities("CapAmb"), "nothing", opens=False),
    "inherited capabilities": probe(lambda _: capabilities("CapInh"), "nothing", opens=False),
    "new privileges": probe(lambda _: can_gain(), "nothing"),
    "system calls without a filter": probe(lambda _: is_unfiltered(), "nothing"),
    "being root": probe(lambda _: is_root(), "nothing"),
    "becoming root": probe(lambda _: in_child(lambda: os.setuid(0)), "EPERM"),
    "becoming root's group": probe(lambda _: in_child(lambda: os.setgid(0)), "EPERM"),
    "groups": probe(lambda _: in_child(lambda: os.setgroups([0])), "EPERM"),
    "giving files to root": probe(lambda _: owned(), "EPERM"),
    "a disk device": probe(lambda _: device(stat.S_IFBLK, 8, 0), "EPERM"),
    "a memory device": probe(lambda _: device(stat.S_IFCHR, 1, 1), "EPERM"),
    "tracing the agent": probe(
        lambda facts: in_child(lambda: called("ptrace", _SEIZE, facts.agent, None, None)), "ESRCH"
    ),
    "the agent's memory": probe(lambda facts: read_memory(facts.agent), "ESRCH", "EPERM", opens=False),
    "a signal to the agent": probe(lambda facts: one(os.kill(facts.agent, 0)), "ESRCH"),
    "a signal to another job": probe(lambda facts: one(os.kill(facts.other_driver, 0)), "ESRCH"),
    "a process outside": probe(lambda _: kill_all(), "nothing", opens=False),
    "a priority above others": probe(lambda _: in_child(lambda: os.nice(-5)), "EPERM", "EACCES"),
    "a real-time thread": probe(
        lambda _: in_child(lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))), "EPERM", opens=False
    ),
    "every packet": probe(lambda _: packets(), "EPERM"),
    "raw packets": probe(lambda _: raw(), "EPERM"),
    "buffers beyond the limit": probe(lambda _: forced_buffer(), "EPERM"),
    "a kernel module": probe(lambda _: module(), "EPERM", opens=False),
    "a module's removal": probe(lambda _: entered("delete_module", b"nothing", 0) == 0, "EPERM", opens=False),
    "another kernel": probe(lambda _: entered("kexec_load", 0, 0, 0, 0) == 0, "EPERM", "ENOSYS", opens=False),
    "bpf": probe(lambda _: one(entered("bpf", 0, b"\x02" + b"\x00" * 71, 72)), "EPERM", opens=False),
    "perf events": probe(lambda _: watching(), "EPERM", "EACCES", opens=False),
    "keys of the kernel": probe(lambda _: entered("keyctl", 0, -3, 1), "EPERM", "ENOSYS", opens=False),
    "page faults of the kernel": probe(
        lambda _: one(os.close(entered("userfaultfd", 0))), "EPERM", "ENOSYS", opens=False
    ),
    "files by their number": probe(lambda _: by_handle(), "EPERM", opens=False),
    "the clock": probe(lambda _: clock(), "EPERM"),
    "the host's name": probe(lambda _: in_child(lambda: called("sethostname", *own_name())), "EPERM"),
    "reboot": probe(lambda _: called("reboot", 0x89ABCDEF) == 0, "EPERM", opens=False),
    "swap": probe(lambda _: called("swapoff", b"/nowhere") == 0, "EPERM", opens=False),
    "accounting": probe(lambda _: one(called("acct", None)), "EPERM", "ENOSYS", opens=False),
    "the kernel's log": probe(lambda _: one(called("klogctl", 10, None, 0)), "EPERM"),
    "more open files than allowed": probe(lambda _: more_files(), "EPERM", opens=False),
}
