"""One hostile attempt of a Python job, and how it ended: by the wall's own error, or through.

These modules travel by value into the job, so they use nothing but the standard library.
"""

from __future__ import annotations

import ctypes
import errno
import os
import socket
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

THROUGH = "through"
NOTHING = "nothing"
NO_NAME = "no such name"
TIMEOUT = "no answer"


@dataclass(frozen=True)
class Facts:
    """What the attacker is told about the machine, so that it need not guess.

    `others` are addresses of other jobs' and pools' listeners, by name; `agent` and `other_driver` are processes as the
    host numbers them; `listener`, `datagrams`, `control` and `exchange` are ports of the host. `canary` stands
    backwards, so that whoever looks for it does not find the question. `key_digest` is of another job's TLS key.
    """

    others: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    host: str = "127.0.0.1"
    listener: int = 1
    control: int = 1
    exchange: int = 1
    datagrams: int = 1
    agent: int = 2**22
    other_driver: int = 2**22
    home: str = "/nowhere"
    other_stage: str = "/nowhere"
    other_channel: str = "/nowhere"
    own_lake: str = "/nowhere"
    docker: str = "/var/run/docker.sock"
    canary: str = "yranac"
    key_digest: str = ""


Attack = Callable[[Facts], object]


class Probe(NamedTuple):
    """`walls` are the errors (by name) that keep it out; `opens` says whether it gets through where nothing is shut."""

    attack: Attack
    walls: frozenset[str]
    opens: bool = True


def probe(attack: Attack, *walls: str, opens: bool = True) -> Probe:
    return Probe(attack, frozenset(walls), opens)


def outcome_of(attack: Attack, facts: Facts) -> str:
    """The wall's name; `nothing` where there was nothing to take; or `through: …`. A broken probe is neither."""
    try:
        found = attack(facts)
    except socket.gaierror:
        return NO_NAME
    except TimeoutError:
        return TIMEOUT
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, repr(error))
    except Exception as error:  # a probe that is broken must be seen as one
        return f"broken: {error!r}"
    return f"{THROUGH}: {found!r}"[:300] if found else NOTHING


def outcomes(probes: Mapping[str, Probe], facts: Facts) -> dict[str, str]:
    return {name: outcome_of(each.attack, facts) for name, each in probes.items()}


def called(name: str, *arguments: object) -> int:
    """A function of the C library. Raises `OSError` where it fails."""
    library = ctypes.CDLL(None, use_errno=True)
    result = int(getattr(library, name)(*arguments))
    if result < 0:
        raise OSError(ctypes.get_errno(), name)
    return result


NUMBERS = {
    "x86_64": {
        "bpf": 321,
        "perf_event_open": 298,
        "keyctl": 250,
        "add_key": 248,
        "userfaultfd": 323,
        "kexec_load": 246,
        "init_module": 175,
        "delete_module": 176,
        "open_by_handle_at": 304,
        "io_uring_setup": 425,
        "pivot_root": 155,
        "fsopen": 430,
        "clone3": 435,
        "process_vm_readv": 310,
        "kcmp": 312,
    },
    "aarch64": {
        "bpf": 280,
        "perf_event_open": 241,
        "keyctl": 219,
        "add_key": 217,
        "userfaultfd": 282,
        "kexec_load": 104,
        "init_module": 105,
        "delete_module": 106,
        "open_by_handle_at": 265,
        "io_uring_setup": 425,
        "pivot_root": 41,
        "fsopen": 430,
        "clone3": 435,
        "process_vm_readv": 270,
        "kcmp": 272,
    },
}


def entered(name: str, *arguments: object) -> int:
    """A system call that the C library has no function for."""
    return called("syscall", NUMBERS[os.uname().machine][name], *arguments)


def one(*succeeded: object) -> bool:
    """True: what came before did not raise."""
    return True


def in_child(work: Callable[[], object]) -> bool:
    """The same in a forked process, for what would change this one. Raises its `OSError`."""
    child = os.fork()
    if child == 0:
        try:
            work()
            os._exit(0)
        except OSError as error:
            os._exit(error.errno or 255)
        except BaseException:
            os._exit(254)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status == 254:
        raise RuntimeError("the child's work is broken")
    if status:
        raise OSError(status, "in the child") if status > 0 else RuntimeError(f"killed by {-status}")
    return True


def first_through(attempts: Iterable[Callable[[], object]]) -> object:
    """What the first that succeeds gives. Raises the last one's error where none does."""
    failure: OSError | None = None
    for attempt in attempts:
        try:
            if found := attempt():
                return found
        except OSError as error:
            failure = error
    if failure is not None:
        raise failure
    return None
