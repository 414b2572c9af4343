"""Which policy of a lake is in force, which were before, and the file that is looked at again."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

import structlog

from datacanal.domain.errors import BadPolicy, PolicyChanged
from datacanal.site.policy.model import Policy
from datacanal.site.policy.problems import PolicyProblem, told
from datacanal.site.policy.reading import PolicyReading, PolicyText, read_policy, text_of

_log = structlog.get_logger()


@dataclass(frozen=True)
class PolicyVersion:
    """A policy that was in force from one instant until another, in milliseconds since 1970; None is until now."""

    policy: Policy
    from_ms: int
    until_ms: int | None


class PolicyVersions(Protocol):
    """Where versions outlive the process; `store.policies.PolicyStore` is the real one."""

    def keep(self, lake: str, policy: Policy, now_ms: int) -> None:
        """Note that the policy is in force from now on, unless it is already."""
        ...

    def versions(self, lake: str) -> Sequence[PolicyVersion]:
        """Every version, the oldest first."""
        ...


@dataclass
class _Shelf:
    """One lake: what is in force, the text of the file as it was last looked at, and what is wrong with it."""

    policy: Policy
    file: Path | None
    text: PolicyText | None
    problems: tuple[PolicyProblem, ...] = ()


class PolicyBook:
    """The policies of a site's lakes. Blocking; safe to call from several threads.

    A policy that was replaced counts for `keep_s` more for the jobs that were issued while it was in force.
    """

    def __init__(
        self,
        policies: Mapping[str, Policy],
        files: Mapping[str, Path],
        store: PolicyVersions,
        clock: Callable[[], datetime],
        keep_s: float,
    ) -> None:
        self._shelves = {
            lake: _Shelf(policy, files.get(lake), text_of(files[lake]) if lake in files else None)
            for lake, policy in policies.items()
        }
        self._store = store
        self._clock = clock
        self._keep_s = keep_s
        self._lock = threading.Lock()
        self._reloading = threading.Lock()
        for lake, policy in policies.items():
            store.keep(lake, policy, self._now_ms())

    def current(self, lake: str) -> Policy:
        """The policy in force."""
        with self._lock:
            return self._shelves[lake].policy

    def at(self, lake: str, digest: str, issued_s: int) -> Policy:
        """The policy of that digest, if it is in force, or was when the job was issued. Raises `PolicyChanged`."""
        with self._lock:
            shelf = self._shelves.get(lake)
        if shelf is None:
            raise PolicyChanged(lake=lake)
        if shelf.policy.digest == digest:
            return shelf.policy
        for version in self._store.versions(lake):
            if version.policy.digest == digest and self._held(version, issued_s):
                return version.policy
        raise PolicyChanged(lake=lake)

    def replace(self, lake: str, policy: Policy) -> bool:
        """Put another policy in force for a lake whose policy is not a file; True where that changes something."""
        with self._reloading:
            shelf = self._shelves[lake]
            if policy.digest == shelf.policy.digest:
                return False
            self._store.keep(lake, policy, self._now_ms())  # written down first, as for a file
            with self._lock:
                shelf.policy = policy
        return True

    def problem(self, lake: str) -> BadPolicy | None:
        """What is wrong with the lake's file as it is now, if that is why it is not in force; quotes no value of it."""
        with self._lock:
            problems = self._shelves[lake].problems
        return told(problems) if problems else None

    def text(self, lake: str) -> PolicyText | None:
        """The file as it was read last, for the lines of its keys."""
        with self._lock:
            return self._shelves[lake].text

    def reload(self) -> bool:
        """Look at every file again; True where a policy or what is wrong with one changed."""
        with self._reloading:
            changed = [self._reload(lake, shelf) for lake, shelf in self._shelves.items()]
        return any(changed)

    def _reload(self, lake: str, shelf: _Shelf) -> bool:
        if shelf.file is None:
            return False
        text = text_of(shelf.file)
        if shelf.text is not None and text.digest == shelf.text.digest:
            return False
        found = read_policy(text)
        changed = found.policy is not None and found.policy.digest != shelf.policy.digest
        if changed and found.policy is not None:
            # Written down first: a job that comes between may find both, but never neither.
            self._store.keep(lake, found.policy, self._now_ms())
        with self._lock:
            before, shelf.problems, shelf.text = shelf.problems, found.problems, text
            shelf.policy = found.policy or shelf.policy
        _tell(lake, shelf.policy, found, changed)
        return changed or before != found.problems

    def _held(self, version: PolicyVersion, issued_s: int) -> bool:
        """Issued in a second that the version was in force in, and not replaced for too long."""
        until_ms = self._now_ms() if version.until_ms is None else version.until_ms
        if until_ms < self._now_ms() - int(self._keep_s * 1000):
            return False
        return version.from_ms < (issued_s + 1) * 1000 and issued_s * 1000 <= until_ms

    def _now_ms(self) -> int:
        return int(self._clock().timestamp() * 1000)


def _tell(lake: str, policy: Policy, found: PolicyReading, changed: bool) -> None:
    if found.problems:
        texts = [problem.text(quoting=False) for problem in found.problems]
        _log.error("policy_refused", lake=lake, in_force=policy.digest, problems=texts)
    elif changed:
        _log.info("policy_in_force", lake=lake, digest=policy.digest)
