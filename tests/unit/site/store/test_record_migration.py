"""A record of before approvals goes on: its entries, chain, indexes and triggers."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Engine, create_engine
from sqlalchemy.exc import DatabaseError

from datacanal.site.keys import load_keys
from datacanal.site.record.book import open_record
from datacanal.site.record.entry import Entry
from datacanal.site.store.approvals import ApprovalStore
from datacanal.site.store.database import MIGRATIONS, open_database


def upgrade(engine: Engine, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


def made(engine: Engine) -> set[tuple[str, str]]:
    with engine.begin() as connection:
        query = "SELECT type, name FROM sqlite_master WHERE tbl_name = 'record'"
        return {(row[0], row[1]) for row in connection.exec_driver_sql(query)}


def test_a_record_of_before_goes_on(tmp_path: Path) -> None:
    file, keys = tmp_path / "site.db", load_keys(tmp_path, os.urandom)
    before = create_engine(f"sqlite:///{file}")
    upgrade(before, "0005")
    parts = made(before)
    for reason in ("one", "two"):
        open_record(before, "core", keys, tmp_path).add(Entry(at_ms=1, kind="peer", decision="refused", reason=reason))
    with pytest.raises(DatabaseError, match="CHECK"):
        open_record(before, "core", keys, tmp_path).add(Entry(at_ms=2, kind="approval", decision="accepted"))
    before.dispose()
    engine = open_database(file)
    record = open_record(engine, "core", keys, tmp_path)
    record.add(Entry(at_ms=2, kind="approval", decision="accepted", reason="three"))
    assert [each.entry.reason for each in record.entries()] == ["one", "two", "three"]
    assert made(engine) == parts
    for statement in ("DELETE FROM record", "UPDATE record SET rows = 1"):
        with engine.begin() as store, pytest.raises(DatabaseError, match="append-only"):
            store.exec_driver_sql(statement)
    engine.dispose()


def test_approvals_of_before_stay_those_of_functions(tmp_path: Path) -> None:
    before = create_engine(f"sqlite:///{tmp_path / 'site.db'}")
    upgrade(before, "0006")
    columns = "code, image, name, source, pickle, job, datasets, asked_ms, state, granted, tenant, principal"
    values = "'c', 'sha256:1', 'f', 's', 'p', 'job_1', '[\"t.p\"]', 1, 'granted', '[\"t.p\"]', 'default', 'ana'"
    with before.begin() as store:
        store.exec_driver_sql(f"INSERT INTO approvals ({columns}) VALUES ({values})")
    before.dispose()
    engine = open_database(tmp_path / "site.db")
    store_ = ApprovalStore(engine)
    known = store_.find("c", "sha256:1")
    assert known is not None
    assert (known.product, known.allows(frozenset({"t.p"}), 0)) == ("", True)
    store_.ask(replace(known, image="", product="pub.bars"))
    assert [each.product for each in store_.every()] == ["pub.bars", ""]
    engine.dispose()


def test_a_publication_is_refused_as_often_as_it_is_asked_about(tmp_path: Path) -> None:
    engine = open_database(tmp_path / "site.db")
    record = open_record(engine, "core", load_keys(tmp_path, os.urandom), tmp_path)
    for kind in ("publication", "publication", "result", "result"):
        record.add(Entry(at_ms=1, kind=kind, decision="refused", job="job_1"))  # type: ignore[arg-type]  # kinds
    assert [each.entry.kind for each in record.entries()] == ["publication", "publication", "result"]
    engine.dispose()
