"""What is wrong with a policy: one problem per place, with file, line, reason and remedy; and all as one error."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from datacanal.domain.errors import BadPolicy

Key = tuple[str | int, ...]
"""Where in the file: names of tables and keys, and positions in lists, from the top."""


@dataclass(frozen=True)
class Finding:
    """Something wrong at a key. `reason` quotes no value of the file; `words` may, so they stay at the site.

    A finding that is only a `warning` keeps nothing from running.
    """

    key: Key
    reason: str
    remedy: str
    words: str = ""
    warning: bool = False


@dataclass(frozen=True)
class PolicyProblem:
    """A finding with its place: `line` counts from 1, None where there is no file or no telling."""

    found: Finding
    file: str = ""
    line: int | None = None

    @property
    def key(self) -> str:
        """The key as messages write it."""
        return ".".join(str(part) for part in self.found.key) or "file"

    @property
    def warning(self) -> bool:
        """Whether everything may run on regardless."""
        return self.found.warning

    def place(self, file: str | None = None) -> str:
        """File and line, as compilers write them."""
        name = self.file if file is None else file
        return f"{name or 'the policy'}:{self.line}" if self.line else name or "the policy"

    def text(self, *, quoting: bool) -> str:
        """One line for people; `quoting` values of the file is for the owner's own eyes."""
        words = f" ({self.found.words})" if quoting and self.found.words else ""
        return f"{self.place()}: {self.key}: {self.found.reason}{words}. {self.found.remedy}"


def bad_policy(problems: Sequence[PolicyProblem]) -> BadPolicy:
    """For the owner: the first problem as an error; its data hold the text of every one."""
    first = problems[0]
    return _error(
        first,
        first.file,
        reason=first.found.reason + (f" ({first.found.words})" if first.found.words else ""),
        count=len(problems),
        problems=[problem.text(quoting=True) for problem in problems],
    )


def told(problems: Sequence[PolicyProblem]) -> BadPolicy:
    """For the control plane: the file's name without its folder, and no value of it."""
    first = problems[0]
    return _error(first, Path(first.file).name, reason=first.found.reason, count=len(problems))


def _error(first: PolicyProblem, file: str, *, reason: str, count: int, **more: object) -> BadPolicy:
    return BadPolicy(
        file=file,
        line=first.line,
        place=first.place(file),
        key=first.key,
        reason=reason,
        hint=first.found.remedy,
        more="" if count < 2 else f" (and {count - 1} more: `datacanal check` shows all)",
        **more,
    )
