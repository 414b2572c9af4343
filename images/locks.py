"""Lock files of hashed requirements, read so that one of them can be downloaded for another machine than this.

pip decides by its own interpreter which conditions of a requirement hold; here the image's decides.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass

from packaging.requirements import Requirement

_OLDEST_LIBC = 5  # manylinux tags begin with 2.5


@dataclass(frozen=True)
class Target:
    """The interpreter of an image: its version, its machine, and the minor version of its C library (2.x)."""

    python: str
    machine: str
    libc_minor: int

    @property
    def minor(self) -> str:
        """`3.11` of `3.11.2`."""
        return ".".join(self.python.split(".")[:2])

    def environment(self) -> dict[str, str]:
        """What the conditions of a requirement may ask about."""
        return {
            "implementation_name": "cpython",
            "os_name": "posix",
            "platform_machine": self.machine,
            "platform_python_implementation": "CPython",
            "platform_system": "Linux",
            "python_full_version": self.python,
            "python_version": self.minor,
            "sys_platform": "linux",
        }

    def pip_options(self) -> list[str]:
        """How pip is told to choose wheels for it."""
        tags = [f"manylinux_2_{minor}_{self.machine}" for minor in range(self.libc_minor, _OLDEST_LIBC - 1, -1)]
        tags += [f"{old}_{self.machine}" for old in ("manylinux2014", "manylinux2010", "manylinux1", "linux")]
        python = ["--implementation", "cp", "--python-version", self.minor, "--abi", f"cp{self.minor.replace('.', '')}"]
        return [*python, *(option for tag in tags for option in ("--platform", tag))]


@dataclass(frozen=True)
class Pin:
    """One locked requirement: what it asks for, and the hashes of what may be installed for it."""

    requirement: Requirement
    hashes: tuple[str, ...]

    def holds_for(self, target: Target) -> bool:
        """Whether it is wanted there."""
        marker = self.requirement.marker
        return marker is None or marker.evaluate(target.environment())

    def line(self) -> str:
        """It as a line for pip, without its condition: that was decided."""
        exact = f"{self.requirement.name}{self.requirement.specifier}"
        return " ".join([exact, *(f"--hash=sha256:{each}" for each in self.hashes)])


def read_pins(lock: str) -> tuple[Pin, ...]:
    """The requirements of a lock file, which continues lines with a backslash."""
    joined = lock.replace("\\\n", " ").splitlines()
    kept = [line for line in joined if line.strip() and not line.startswith("#")]
    return tuple(
        Pin(Requirement(line.partition("--hash")[0].strip()), tuple(re.findall(r"--hash=sha256:([0-9a-f]{64})", line)))
        for line in kept
    )


def pins_for(target: Target, lock: str) -> tuple[Pin, ...]:
    """Those that the target wants."""
    return tuple(pin for pin in read_pins(lock) if pin.holds_for(target))


def environment_of(target: Target, pins: Iterable[Pin]) -> str:
    """The Python version and the packages, as the label of an image says them."""
    packages = {pin.requirement.name: next(iter(pin.requirement.specifier)).version for pin in pins}
    return json.dumps({"python": target.minor, "packages": dict(sorted(packages.items()))}, separators=(",", ":"))


def as_requirements(pins: Iterable[Pin]) -> str:
    """A requirements file for pip with `--require-hashes`."""
    return "".join(f"{pin.line()}\n" for pin in pins)
