"""Read a policy file and find everything that is wrong with it, each with line and remedy."""

from __future__ import annotations

import copy
import hashlib
import re
import stat
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from datacanal.site.policy.lines import key_lines, line_of
from datacanal.site.policy.model import Policy
from datacanal.site.policy.problems import Finding, Key, PolicyProblem, bad_policy
from datacanal.site.policy.sense import findings
from datacanal.site.policy.words import DEFAULT_CLASS, finding_of

MAX_BYTES = 2**20
_DECODE_LINE = re.compile(r"\(at line (\d+), column \d+\)")
_ROUNDS = 4
"""How often what is wrong is taken out to look at the rest; the first leaves nothing in all but odd files."""


@dataclass(frozen=True)
class PolicyText:
    """A policy file at one moment: its text, or why there is none."""

    file: Path
    text: str | None
    trouble: str = ""
    lines: dict[Key, int] = field(default_factory=dict, compare=False, repr=False)

    @property
    def digest(self) -> str:
        """sha256 (hex) of what was found."""
        return hashlib.sha256(f"{self.trouble}\n{self.text}".encode()).hexdigest()

    def problem(self, found: Finding) -> PolicyProblem:
        """The finding with its place in the file."""
        return PolicyProblem(found, str(self.file), line_of(self.lines, found.key))


@dataclass(frozen=True)
class PolicyReading:
    """What a file says: a policy, or problems; warnings keep nothing from running."""

    policy: Policy | None
    problems: tuple[PolicyProblem, ...] = ()
    warnings: tuple[PolicyProblem, ...] = ()


def load_policy(file: Path) -> Policy:
    """The policy of the file. Raises `BadPolicy` with every problem."""
    found = read_policy(text_of(file))
    if found.policy is None:
        raise bad_policy(found.problems)
    return found.policy


def text_of(file: Path) -> PolicyText:
    """The file as it is now. Never raises."""
    try:
        status = file.stat()
        if not stat.S_ISREG(status.st_mode):
            return PolicyText(file, None, "it is not a file")
        if status.st_size > MAX_BYTES:
            return PolicyText(file, None, f"it is larger than {MAX_BYTES} bytes")
        text = file.read_bytes().decode("utf-8")
    except OSError as error:
        return PolicyText(file, None, f"it cannot be read: {error.strerror}")
    except UnicodeDecodeError as error:
        return PolicyText(file, None, f"byte {error.start + 1} is not UTF-8")
    return PolicyText(file, text, "", key_lines(text))


def read_policy(text: PolicyText, now_s: float | None = None) -> PolicyReading:
    """Judge the text whole. `now_s` is the moment that grants are held against; absent, none has expired."""
    if text.text is None:
        found = Finding((), text.trouble, "Give the lake one TOML file that this site's user may read.")
        return PolicyReading(None, (PolicyProblem(found, str(text.file)),))
    try:
        parsed = tomllib.loads(text.text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        return PolicyReading(None, (_undecoded(text, error),))
    if not parsed:
        found = Finding(("default_class",), "the file is empty, and nothing is implied", DEFAULT_CLASS)
        return PolicyReading(None, (text.problem(found),))
    policy, wrong = _understood(parsed)
    wrong += findings(policy, now_s) if policy is not None else []
    problems = sorted(map(text.problem, wrong), key=lambda one: one.line or 0)
    hard = tuple(one for one in problems if not one.warning)
    return PolicyReading(None if hard else policy, hard, tuple(one for one in problems if one.warning))


def _undecoded(text: PolicyText, error: Exception) -> PolicyProblem:
    found = Finding((), "it is not valid TOML", "Correct the syntax; https://toml.io shows it.", words=str(error))
    line = _DECODE_LINE.search(str(error))
    return replace(text.problem(found), line=int(line[1]) if line else None)


def _understood(parsed: dict[str, Any]) -> tuple[Policy | None, list[Finding]]:
    """The policy without what is wrong with its words, and what that is."""
    wrong: list[Finding] = []
    for _ in range(_ROUNDS):
        try:
            return Policy.model_validate(parsed), wrong
        except ValidationError as error:
            details = error.errors(include_url=False, include_context=False, include_input=False)
            wrong += [finding_of(dict(detail)) for detail in details]
            parsed = _without(parsed, [detail["loc"] for detail in details])
    return None, wrong


_GONE: Any = object()
_INSTEAD: dict[str | int, Any] = {"default_class": "public", "mask": "hash", "min_group": 10**9}
"""What stands for a wrong value so that nothing else looks wrong because of it."""


def _without(parsed: dict[str, Any], places: Iterable[Key]) -> dict[str, Any]:
    """The document without what stands at those places; the rest can then be judged."""
    rest = copy.deepcopy(parsed)
    for place in places:
        below = place
        if place[0] == "grants" and len(place) > 1:
            below = place[:2]
        elif place[-1] == "class":
            below = place[:-1]
        _put(rest, below, _INSTEAD.get(below[-1], _GONE))
    return dict(_swept(rest))


def _put(document: Any, place: Key, value: Any) -> None:
    for part in place[:-1]:
        document = document[part]
        if document is _GONE:
            return
    document[place[-1]] = value


def _swept(document: Any) -> Any:
    if isinstance(document, dict):
        return {name: _swept(value) for name, value in document.items() if value is not _GONE}
    if isinstance(document, list):
        return [_swept(value) for value in document if value is not _GONE]
    return document
