"""Words for what is not one SELECT: what it is instead, where the syntax broke, and what to do about it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from datacanal.domain.errors import ConstructNotAllowed, NotASelect, SqlSyntax, SqlTooDeep, StatementError
from datacanal.planning.text import MAX_DEPTH, statements, words

_NEAR = re.compile(r'syntax error at or near "(?P<word>.*)"', re.DOTALL)
_RESERVED = frozenset(
    """
    ALL ANALYSE ANALYZE AND ANY ARRAY AS ASC ASYMMETRIC BOTH CASE CAST CHECK COLLATE COLUMN CONSTRAINT CREATE DEFAULT
    DEFERRABLE DESC DESCRIBE DISTINCT DO ELSE END EXCEPT FALSE FETCH FOR FOREIGN FROM GROUP HAVING IN INITIALLY
    INTERSECT INTO LAMBDA LATERAL LEADING LIMIT NOT NULL OFFSET ON ONLY OR ORDER PIVOT PLACING PRIMARY QUALIFY
    REFERENCES RETURNING SELECT SHOW SOME SUMMARIZE SYMMETRIC TABLE THEN TO TRAILING TRUE UNION UNIQUE UNPIVOT USING
    VARIADIC WHEN WHERE WINDOW WITH
    """.split()  # noqa: SIM905  # one word list reads better than seventy quoted strings
)
_QUERY_WORDS = frozenset(
    {"SELECT", "FROM", "WITH", "VALUES", "TABLE", "PIVOT", "PIVOT_WIDER", "UNPIVOT", "PIVOT_LONGER"}
)
_PIVOTS = frozenset({"PIVOT", "PIVOT_WIDER"})


def syntax_refusal(tree: Mapping[str, Any], sql: str) -> StatementError:
    """The refusal for a tree that holds an error instead of statements."""
    message = str(tree.get("error_message", "it cannot be read"))
    if message.startswith("Only SELECT statements"):
        return not_a_select(sql)
    if "expression depth limit" in message:
        return SqlTooDeep(limit=MAX_DEPTH)
    if "positional parameters" in message:
        return ConstructNotAllowed(construct="A positional parameter (? or $1)", hint="Use named parameters: $name.")
    return _syntax(message, sql, tree.get("position"))


def not_a_select(sql: str, count: int = 1) -> StatementError:
    """The refusal for something other than one SELECT, saying what it is."""
    if max(count, statements(sql)) > 1:
        return NotASelect(found=f"{max(count, statements(sql))} statements")
    found = words(sql)
    if not found:
        return NotASelect(found="nothing" if not statements(sql) else "something else")
    if found[0] in _QUERY_WORDS and _PIVOTS.intersection(found):
        return ConstructNotAllowed(
            construct="PIVOT without its list of values", hint="Name the values: PIVOT … ON column IN ('a', 'b') …"
        )
    if found[0] == "WITH":
        changes = [word for word in found if word in ("INSERT", "UPDATE", "DELETE", "MERGE", "COPY")]
        return NotASelect(found=f"WITH … {changes[0]}" if changes else "a WITH before something else")
    return NotASelect(found=found[0])


def _syntax(message: str, sql: str, position: object) -> SqlSyntax:
    near = _NEAR.search(message)
    hint = "Correct the statement near the position named."
    if near and near["word"].upper() in _RESERVED:
        word = near["word"]
        hint = f'{word} is a word of SQL; if it is meant as a name, write it in double quotes: "{word}".'
    if position is None:
        return SqlSyntax(reason=message, hint=hint)
    offset = _characters(sql, int(str(position)))
    line = sql.count("\n", 0, offset) + 1
    column = offset - (sql.rfind("\n", 0, offset) + 1) + 1
    return SqlSyntax(reason=f"{message} (line {line}, column {column})", position=offset, hint=hint)


def _characters(sql: str, offset_bytes: int) -> int:
    """The parser counts bytes, people count characters."""
    return len(sql.encode()[:offset_bytes].decode(errors="ignore"))
