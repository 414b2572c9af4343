"""Walk the whole record and recompute it: a byte changed, an entry removed, swapped or added, a tail cut, is found."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datacanal.domain.errors import RecordDamaged
from datacanal.site.record.entry import BEGINNING, COLUMNS, STORED, hash_of
from datacanal.site.record.head import HEAD_FILE, Head, read_head
from datacanal.site.record.reading import opened_store

_PREVIOUS = COLUMNS.index("previous")


@dataclass(frozen=True)
class Verifier:
    """`public` is the site's key (base64), `database` its store and `home` where the head's file lies."""

    site: str
    public: str
    database: Path
    home: Path

    def verify(self) -> Head:
        """The head that all entries lead to.

        Raises `RecordDamaged` with the first entry that does not hold, and why; `NotFound` where there is no store.
        """
        beside = self._head_in_file()  # read first: what a running agent adds from now on may only be newer
        with opened_store(self.database) as store:
            try:
                head = self._head_in_store(store)
                self._walk(store, head, beside)
            except sqlite3.DatabaseError as error:
                raise self._damage(0, f"the store cannot be read ({error})") from None
        return head

    def _head_in_file(self) -> Head:
        try:
            head = read_head(self.home / HEAD_FILE)
        except ValueError:
            raise self._damage(0, f"{HEAD_FILE} cannot be read") from None
        if head is None:
            raise self._damage(0, f"{HEAD_FILE} is missing")
        return self._signed(head, HEAD_FILE)

    def _head_in_store(self, store: sqlite3.Connection) -> Head:
        rows = store.execute("SELECT count, hash, signature FROM record_head").fetchall()
        if len(rows) != 1 or [type(value) for value in rows[0]] != [int, str, str]:
            raise self._damage(0, "the store holds no signed head")
        return self._signed(Head(*rows[0]), "the store's head")

    def _signed(self, head: Head, where: str) -> Head:
        if not head.is_signed(self.site, self.public):
            raise self._damage(head.count, f"{where} is not signed by this site's key")
        return head

    def _walk(self, store: sqlite3.Connection, head: Head, beside: Head) -> None:
        previous, count = BEGINNING, 0
        # By the table itself and no index, whose order and content somebody may have changed.
        for row in store.execute(f"SELECT {STORED} FROM record NOT INDEXED ORDER BY rowid"):  # noqa: S608  # our names
            count += 1
            self._check(row, count, previous)
            previous = row[-1]
            if count == beside.count and previous != beside.hash:
                raise self._damage(count, f"its hash is not the one that {HEAD_FILE} names")
        if beside.count > count:
            raise self._damage(count + 1, f"it is missing: {HEAD_FILE} counts {beside.count} entries")
        if head.count > count:
            raise self._damage(count + 1, f"it is missing: the signed head counts {head.count} entries")
        if (head.count, head.hash) != (count, previous):
            raise self._damage(head.count, "the signed head names another entry")

    def _check(self, row: tuple[Any, ...], expected: int, previous: str) -> None:
        if row[0] != expected:
            raise self._damage(expected, f"it is missing: entry {row[0]!r} follows")
        if row[_PREVIOUS] != previous:
            raise self._damage(expected, "it does not continue the entry before it")
        try:
            found = hash_of(row[:-1])
        except (TypeError, ValueError):
            found = ""
        if found != row[-1]:
            raise self._damage(expected, "its content is not what was recorded")

    def _damage(self, seq: int, reason: str) -> RecordDamaged:
        return RecordDamaged(site=self.site, seq=seq, reason=reason)
