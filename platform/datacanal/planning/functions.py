"""Which functions a statement may call: an allow-list; a name that is on no list is refused."""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Iterable
from functools import cache

from datacanal.domain.errors import FunctionNotAllowed
from datacanal.planning.function_lists import (
    ALLOWED_SCALARS,
    ALLOWED_TABLES,
    COLLATION_PREFIXES,
    REFUSED,
    SPACED_OPERATORS,
)


@cache
def allowed_scalars() -> frozenset[str]:
    """Scalar functions, operators, aggregates and window functions that an expression may call."""
    return frozenset((*_names(ALLOWED_SCALARS.values()), *SPACED_OPERATORS))


@cache
def aggregates() -> frozenset[str]:
    """Those of them that make one value of many rows."""
    return frozenset(ALLOWED_SCALARS["aggregates"].split())


@cache
def allowed_tables() -> frozenset[str]:
    """Table functions that may stand in FROM."""
    return frozenset(_names(ALLOWED_TABLES.values()))


@cache
def refused() -> dict[str, str]:
    """Refused names with the reason."""
    return {name: reason for reason, names in REFUSED.items() for name in names.split()}


def is_allowed(name: str, *, table: bool = False) -> bool:
    """Whether a statement may call the function, in an expression or, with `table`, in FROM."""
    lowered = name.lower()
    if table:
        return lowered in allowed_tables()
    return lowered in allowed_scalars() or lowered.startswith(COLLATION_PREFIXES)


def is_classified(name: str, *, table: bool = False) -> bool:
    """Whether some list decides about the name."""
    return is_allowed(name, table=table) or name.lower() in refused()


def check_function(name: str, *, table: bool = False) -> None:
    """Raise `FunctionNotAllowed`, saying why or naming the nearest allowed functions, unless the name is allowed."""
    if is_allowed(name, table=table):
        return
    raise FunctionNotAllowed(name=name, hint=_hint(name.lower(), table))


def functions_digest() -> str:
    """Digest of the allow-list: two parts of the platform with the same digest accept the same functions."""
    listed = [*sorted(allowed_scalars()), "", *sorted(allowed_tables()), "", *COLLATION_PREFIXES]
    return hashlib.sha256("\n".join(listed).encode()).hexdigest()[:16]


def _hint(name: str, table: bool) -> str:
    if table and is_allowed(name):
        return "Call it in an expression, not in FROM."
    if reason := refused().get(name):
        return f"{reason} Ask catalogued datasets instead."
    known = allowed_tables() if table else allowed_scalars()
    near = difflib.get_close_matches(name, known, n=3)
    return f"Did you mean {', '.join(near)}?" if near else "docs/sql.md says which functions there are."


def _names(groups: Iterable[str]) -> list[str]:
    return [name for group in groups for name in group.split()]
