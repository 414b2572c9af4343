"""A small scanner over SQL text: what stands outside quotes and comments. It never decides what a statement means."""

from __future__ import annotations

import re
from collections.abc import Iterator

from datacanal.domain.errors import SqlBadText, SqlTooDeep, SqlTooLong

MAX_SQL_BYTES = 64 * 1024
MAX_DEPTH = 200

_LEXEME = re.compile(
    r"""
    (?P<space>\s+|--[^\n\r]*)
  | (?P<comment>/\*)
  | (?P<escaped>[eE]'(?:[^'\\]|\\.|'')*(?:'|\Z))
  | (?P<string>'(?:[^']|'')*(?:'|\Z))
  | (?P<quoted>"(?:[^"]|"")*(?:"|\Z))
  | (?P<dollar>\$(?P<tag>(?:[^\W\d]\w*)?)\$)
  | (?P<word>[^\W\d][\w$]*)
  | (?P<other>\d[\w.]*|\$\w+|.)
    """,
    re.VERBOSE | re.DOTALL,
)
_COMMENT_EDGE = re.compile(r"/\*|\*/")


def check_text(sql: str) -> None:
    """Refuse text that must not reach a parser: too long, unencodable, NUL, or nested deeper than `MAX_DEPTH`.

    Raises `SqlTooLong`, `SqlBadText` or `SqlTooDeep`.
    """
    if "\0" in sql:
        raise SqlBadText(what="NUL", position=sql.index("\0"))
    try:
        size = len(sql.encode())
    except UnicodeEncodeError as error:
        raise SqlBadText(what="half of a surrogate pair", position=error.start) from None
    if size > MAX_SQL_BYTES:
        raise SqlTooLong(size_bytes=size, limit_bytes=MAX_SQL_BYTES)
    if nesting(sql) > MAX_DEPTH:
        raise SqlTooDeep(limit=MAX_DEPTH)


def nesting(sql: str) -> int:
    """The deepest nesting of brackets outside quotes and comments."""
    deepest = depth = 0
    for kind, text in lexemes(sql):
        if kind != "other":
            continue
        if text in "([{":
            depth += 1
            deepest = max(deepest, depth)
        elif text in ")]}":
            depth -= 1
    return deepest


def words(sql: str) -> list[str]:
    """The words outside quotes and comments, upper case."""
    return [text.upper() for kind, text in lexemes(sql) if kind == "word"]


def statements(sql: str) -> int:
    """How many statements the semicolons outside quotes and comments divide the text into."""
    count, inside = 0, False
    for _, text in lexemes(sql):
        if text == ";":
            inside = False
        elif not inside:
            count, inside = count + 1, True
    return count


def lexemes(sql: str) -> Iterator[tuple[str, str]]:
    """Kind (`word`, `string`, `escaped`, `quoted`, `dollar`, `other`) and text of each lexeme; spaces are left out."""
    position = 0
    while match := _LEXEME.match(sql, position):
        kind, position = str(match.lastgroup), match.end()
        if match["comment"]:
            position = _after_comment(sql, position)
        elif match["dollar"]:
            position = _after(sql, match["dollar"], position)
            yield "dollar", sql[match.start() : position]
        elif kind != "space":
            yield kind, match[0]


def _after_comment(sql: str, position: int) -> int:
    """Where a block comment ends; they nest."""
    depth = 1
    while depth and (edge := _COMMENT_EDGE.search(sql, position)):
        depth += 1 if edge[0] == "/*" else -1
        position = edge.end()
    return len(sql) if depth else position


def _after(sql: str, closing: str, position: int) -> int:
    end = sql.find(closing, position)
    return len(sql) if end < 0 else end + len(closing)
