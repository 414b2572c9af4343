"""Names, texts and paths as SQL text, each made safe for splicing. Nothing else may build SQL from outside text."""

from __future__ import annotations

from collections.abc import Iterable


def identifier(name: str) -> str:
    """The name in double quotes, whatever it holds."""
    return '"' + name.replace('"', '""') + '"'


def literal(value: str) -> str:
    """A quoted string."""
    return "'" + value.replace("'", "''") + "'"


def literals(values: Iterable[str]) -> str:
    """A list of quoted strings."""
    return "[" + ", ".join(map(literal, values)) + "]"


def glob_escaped(path: str) -> str:
    """A path that names itself where DuckDB reads globs."""
    return "".join(f"[{character}]" if character in "*?[" else character for character in path)
