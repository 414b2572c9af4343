"""The record as the agent writes it: each decision once, in the transaction of what was decided."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine, event, select
from sqlalchemy.orm import Session

from datacanal.domain.errors import RecordDamaged
from datacanal.site.keys import SiteKeys
from datacanal.site.record.entry import BEGINNING, COLUMNS, STORED, Entry, Recorded, hash_of, recorded_from, values_of
from datacanal.site.record.head import HEAD_FILE, Head, head_text, read_head, write_head
from datacanal.site.store.models import RecordHeadRow, RecordRow

# Every release and refusal passes here: written out, as building these statements costs ten times what they do.
_INSERT = f"INSERT INTO record ({STORED}) VALUES ({', '.join('?' * (len(COLUMNS) + 1))})"  # noqa: S608  # our names
_END = "SELECT seq, hash FROM record ORDER BY seq DESC LIMIT 1"
_HEAD = "SELECT count, hash FROM record_head"
_SIGN = "UPDATE record_head SET count = ?, hash = ?, signature = ?"
_SAME = {
    "released": "job = ? AND step = ? AND kind = ? AND digest = ? AND receivers = ? AND decision = 'released'",
    "refused": "job = ? AND step = ? AND kind = ? AND digest = ? AND fence = ? AND decision = 'refused'"
    " AND job <> '' AND kind <> 'publication'",
}
_TO_PUBLISH = "datacanal.record.head"


@dataclass(frozen=True)
class Chain:
    """What a record is signed and kept with."""

    site: str
    keys: SiteKeys
    file: Path

    def head(self, count: int, last_hash: str) -> Head:
        """The signed head."""
        return Head(count, last_hash, self.keys.sign(head_text(self.site, count, last_hash)))


def open_record(engine: Engine, site: str, keys: SiteKeys, home: Path) -> RecordBook:
    """The record in a site's store, `home` being where the head's file lies.

    Raises `RecordDamaged` where the end of the record is not the one that this site signed: going on would sign the
    damage. `verify` looks at all of it.
    """
    chain = Chain(site, keys, home / HEAD_FILE)
    with Session(engine) as session, session.begin():
        count, last_hash = _end(session)
        head = session.get_one(RecordHeadRow, 1)
        if head.signature == "":  # by the migration that made the table, which has no key
            head.signature = chain.head(head.count, head.hash).signature
        signed = Head(head.count, head.hash, head.signature)
        if (signed.count, signed.hash) != (count, last_hash) or not signed.is_signed(site, keys.public):
            raise RecordDamaged(site=site, seq=count, reason="the signed head names another last entry")
        _check_file(session, chain, signed)
    write_head(chain.file, signed)
    return RecordBook(engine, chain)


def _check_file(session: Session, chain: Chain, head: Head) -> None:
    """The file may be behind by what was committed when the process was killed, and never ahead."""
    try:
        found = read_head(chain.file)
    except ValueError:
        raise RecordDamaged(site=chain.site, seq=head.count, reason=f"{HEAD_FILE} cannot be read") from None
    if found is None or found.count == 0:
        return
    there = session.scalar(select(RecordRow.hash).where(RecordRow.seq == found.count))
    if there != found.hash:
        raise RecordDamaged(site=chain.site, seq=found.count, reason=f"{HEAD_FILE} names an entry that is not there")


class RecordBook:
    """Made by `open_record`; may be used from several threads."""

    def __init__(self, engine: Engine, chain: Chain) -> None:
        self._engine = engine
        self._chain = chain
        self._writing = threading.Lock()
        self._written = 0

    def append(self, session: Session, entry: Entry) -> Recorded:
        """Write the entry in the session's transaction (no savepoint of it), at the end of the chain.

        What was released before, and what was refused before to the same attempt, is not written again: its entry is
        given back. A publication is decided each time that it is asked about. Raises `RecordDamaged` where the chain's
        end is not what was signed.
        """
        known = self.known(session, entry)
        if known is not None:
            return known
        store = session.connection()
        count, last_hash = _end(session)
        if store.exec_driver_sql(_HEAD).all() != [(count, last_hash)]:
            raise RecordDamaged(site=self._chain.site, seq=count, reason="the signed head names another last entry")
        values = values_of(count + 1, entry, last_hash)
        new = self._chain.head(count + 1, hash_of(values))
        store.exec_driver_sql(_INSERT, (*values, new.hash))
        store.exec_driver_sql(_SIGN, (new.count, new.hash, new.signature))
        self._publish_after_commit(session, new)
        return Recorded(new.count, entry, last_hash, new.hash)

    def known(self, session: Session, entry: Entry) -> Recorded | None:
        """The entry that this one would only repeat."""
        same = _SAME.get(entry.decision)
        if same is None or not entry.job:
            return None
        values = dict(zip(COLUMNS, values_of(0, entry, ""), strict=True))
        last = values["receivers"] if entry.decision == "released" else entry.fence
        key = (entry.job, entry.step, entry.kind, entry.digest, last)
        query = f"SELECT {STORED} FROM record WHERE {same}"  # noqa: S608  # our own words
        row = session.connection().exec_driver_sql(query, key).first()
        return None if row is None else recorded_from(row[:-1], row[-1])

    def add(self, entry: Entry) -> Recorded:
        """The same in a transaction of its own."""
        with Session(self._engine) as session, session.begin():
            return self.append(session, entry)

    def entries(self, job: str | None = None, step: str | None = None) -> Sequence[Recorded]:
        """Every entry, or those about one job or one step of it, in their order."""
        asked = {"job": job, "step": step}
        given = {name: value for name, value in asked.items() if value is not None}
        where = " AND ".join(f"{name} = ?" for name in given) or "true"
        query = f"SELECT {STORED} FROM record WHERE {where} ORDER BY seq"  # noqa: S608  # our own words
        with self._engine.begin() as store:
            found = store.exec_driver_sql(query, tuple(given.values()))
            return [recorded_from(row[:-1], row[-1]) for row in found]

    def _publish_after_commit(self, session: Session, head: Head) -> None:
        if _TO_PUBLISH not in session.info:
            event.listen(session, "after_commit", self._publish)
            event.listen(session, "after_rollback", _forget)
        session.info[_TO_PUBLISH] = head

    def _publish(self, session: Session) -> None:
        head: Head | None = session.info.pop(_TO_PUBLISH, None)
        with self._writing:  # commits may overtake each other on their way here
            if head is not None and head.count > self._written:
                write_head(self._chain.file, head)
                self._written = head.count


def _forget(session: Session) -> None:
    session.info.pop(_TO_PUBLISH, None)


def _end(session: Session) -> tuple[int, str]:
    last = session.connection().exec_driver_sql(_END).first()
    return (0, BEGINNING) if last is None else (last[0], last[1])
