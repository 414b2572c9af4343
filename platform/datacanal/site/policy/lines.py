"""On which line of a TOML file each key stands: what `tomllib` does not tell.

The text must be valid TOML. Only as much of the grammar is read as it takes to know where keys and values begin.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator

from datacanal.site.policy.problems import Key

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_SPACE = re.compile(r"[ \t]*")
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_STRING = re.compile(r'"""(?:\\.|[^\\])*?"{3,5}|\'\'\'.*?\'{3,5}|"(?:\\.|[^"\\\n])*"|\'[^\'\n]*\'', re.DOTALL)
_SCALAR = re.compile(r"[^,\]}#\n]+")
_ESCAPE = re.compile(r"\\(u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8}|.)")
_ESCAPED = {"b": "\b", "t": "\t", "n": "\n", "f": "\f", "r": "\r", "e": "\x1b"}


def key_lines(text: str) -> dict[Key, int]:
    """The line (from 1) where each table, key and list item begins; the first where a key is written twice."""
    scan = _Scan(text)
    with contextlib.suppress(ValueError):  # less than all is still of use
        scan.document()
    return scan.lines


def line_of(lines: dict[Key, int], key: Key) -> int:
    """The line of the key, or of the nearest table or value around it; the first where there is none."""
    for length in range(len(key), 0, -1):
        if key[:length] in lines:
            return lines[key[:length]]
    return 1


class _Scan:
    """A cursor over the text."""

    def __init__(self, text: str) -> None:
        self.lines: dict[Key, int] = {}
        self._text = text
        self._at = 0
        self._arrays: dict[Key, int] = {}
        self._breaks = [found.start() for found in re.finditer("\n", text)]

    def document(self) -> None:
        """Read to the end."""
        table: Key = ()
        self._skip(_BLANK)
        while self._at < len(self._text):
            if self._text.startswith("[", self._at):
                table = self._header()
            else:
                self._pair(table)
            self._skip(_BLANK)

    def _header(self) -> Key:
        start = self._at
        array = self._text.startswith("[[", self._at)
        self._at += 2 if array else 1
        names = tuple(self._names())
        self._expect("]]" if array else "]")
        key = self._inside_arrays(names[:-1] if array else names)
        if array:
            whole: Key = (*key, names[-1])
            self._arrays[whole] = self._arrays.get(whole, -1) + 1
            key = (*whole, self._arrays[whole])
        for length in range(1, len(key) + 1):
            self._note(key[:length], start)
        return key

    def _inside_arrays(self, names: Key) -> Key:
        """A header that goes on below an array of tables means its newest table."""
        key: Key = ()
        for name in names:
            key = (*key, name)
            if key in self._arrays:
                key = (*key, self._arrays[key])
        return key

    def _pair(self, table: Key) -> None:
        start = self._at
        key = table
        for name in self._names():
            key = (*key, name)
            self._note(key, start)
        self._expect("=")
        self._skip(_SPACE)
        self._value(key)

    def _value(self, key: Key) -> None:
        self._note(key, self._at)
        match self._text[self._at : self._at + 1]:
            case "[":
                self._items(key, "]")
            case "{":
                self._items(key, "}")
            case '"' | "'":
                self._match(_STRING)
            case _:
                self._match(_SCALAR)

    def _items(self, key: Key, end: str) -> None:
        self._at += 1
        position = 0
        while True:
            self._skip(_BLANK)
            if self._text.startswith(end, self._at):
                self._at += 1
                return
            if end == "]":
                self._value((*key, position))
            else:
                self._pair(key)
            position += 1
            self._skip(_BLANK)
            if self._text.startswith(",", self._at):
                self._at += 1

    def _names(self) -> Iterator[str]:
        while True:
            self._skip(_SPACE)
            quoted = self._text[self._at : self._at + 1] in ('"', "'")
            yield _unquoted(self._match(_STRING)) if quoted else self._match(_BARE)
            self._skip(_SPACE)
            if not self._text.startswith(".", self._at):
                return
            self._at += 1

    def _note(self, key: Key, at: int) -> None:
        if key not in self.lines:
            self.lines[key] = 1 + sum(1 for place in self._breaks if place < at)

    def _skip(self, pattern: re.Pattern[str]) -> None:
        found = pattern.match(self._text, self._at)
        self._at = found.end() if found else self._at

    def _match(self, pattern: re.Pattern[str]) -> str:
        found = pattern.match(self._text, self._at)
        if found is None:
            raise ValueError("not TOML")
        self._at = found.end()
        return found[0]

    def _expect(self, sign: str) -> None:
        self._skip(_SPACE)
        if not self._text.startswith(sign, self._at):
            raise ValueError("not TOML")
        self._at += len(sign)


def _unquoted(text: str) -> str:
    if text.startswith("'"):
        return text[1:-1]
    return _ESCAPE.sub(lambda found: _character(found[1]), text[1:-1])


def _character(escape: str) -> str:
    if escape[0] in "uU" and len(escape) > 1:
        return chr(int(escape[1:], 16))
    return _ESCAPED.get(escape, escape)
