"""The battery: statements that try to see what the policies of `world` do not show, and some that must be possible."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_FILE = Path(__file__).with_name("battery.sql")


@dataclass(frozen=True)
class Case:
    """One statement. `column` and `rule` (a class) are what its refusal names, `harmless` why it may run.

    `protected` says why the planner makes a refused one legal by an aggregate step.
    """

    sql: str
    column: str = ""
    rule: str = ""
    harmless: str = ""
    protected: str = ""
    params: dict[str, Any] = field(default_factory=dict)


def battery() -> list[Case]:
    """Every statement of the file."""
    return list(_cases(_FILE.read_text().splitlines()))


def _cases(lines: list[str]) -> Iterator[Case]:
    said: dict[str, str] = {}
    for line in lines:
        match line.split(" ", 2):
            case ["--", "refused", named]:
                named, _, protected = named.partition(" | ")
                column, rule = named.split()
                said = {"column": column, "rule": rule, "protected": protected}
            case ["--", "harmless", reason]:
                said = {"harmless": reason}
            case ["--", *_] | [""]:
                continue
            case _:
                sql, _, params = line.partition("  -- ")
                yield Case(sql, params=json.loads(params or "{}"), **said)
