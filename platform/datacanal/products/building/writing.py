"""A job's result becomes a snapshot: sorted, measured, synced, and only then there.

Everything is written into `<snapshot>.tmp`, which the rename at the end makes the snapshot. Whatever ends the process
before leaves the .tmp alone, and the next build of that snapshot begins by removing it. Readers are processes of the
same group (gateways, sites) under users of their own, so that files are 0640 and folders 0750: the group reads, only
the builder's user writes.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

import duckdb

from datacanal.domain.errors import BadField
from datacanal.planning.quoting import identifier, literal
from datacanal.products.building.columns import Columns, check_columns, columns_of
from datacanal.products.building.engine import one_number, parquet
from datacanal.products.building.orders import BuildOrder, Built
from datacanal.products.building.pairs import day_of
from datacanal.products.manifest import (
    BY_KEY,
    BY_SESSION,
    MANIFEST,
    ROW_GROUP_ROWS,
    Column,
    Layout,
    Manifest,
    Session,
    read_manifest,
    snapshot_folder,
)
from datacanal.protocol.products import Contract

_FILE_MODE = 0o640
_FOLDER_MODE = 0o750


def build(order: BuildOrder, connection: duckdb.DuckDBPyConnection, *, sparing: bool = False) -> Built:
    """The snapshot's manifest; the one that is there already where this snapshot was built before.

    `sparing`: slower, with less memory for wide rows. The same rows give the same bytes, as long as the key tells them
    apart. Raises `BadField` for columns that no product can be made of, DuckDB's errors and `OSError`.
    """
    folder = snapshot_folder(order.store, order.product, order.snapshot)
    if folder.exists():
        return Built(manifest=read_manifest(folder))
    given = columns_of(connection, parquet(order.source))
    check_columns(given, order.contract)
    partial = _fresh(folder.with_name(f"{folder.name}.tmp"))
    source = _spilled(order.source, connection) if sparing else parquet(order.source)
    manifest = _written(order, connection, source, partial)
    _check_kept(given, manifest)
    _publish(partial, folder)
    return Built(manifest=manifest)


def _fresh(partial: Path) -> Path:
    partial.parent.mkdir(parents=True, exist_ok=True)
    if partial.exists():
        shutil.rmtree(partial)
    partial.mkdir()
    for folder in (partial.parent, partial):
        folder.chmod(_FOLDER_MODE)  # not by mkdir's mode, from which the umask is taken
    return partial


def _spilled(source: Path, connection: duckdb.DuckDBPyConnection) -> str:
    """The rows where they can leave memory: a sort beside the reading of large row groups holds both."""
    connection.execute(f"CREATE TEMP TABLE given AS SELECT * FROM {parquet(source)}")
    return "given"


def _written(order: BuildOrder, connection: duckdb.DuckDBPyConnection, source: str, folder: Path) -> Manifest:
    contract = order.contract
    layouts = [_layout(connection, source, folder / BY_KEY, contract.key)]
    rows = parquet(folder / BY_KEY)
    if contract.session is not None and contract.key[0] != contract.session:
        others = [name for name in contract.key if name != contract.session]
        layouts.append(_layout(connection, rows, folder / BY_SESSION, [contract.session, *others]))
    manifest = Manifest(
        product=order.product,
        version=order.version,
        snapshot=order.snapshot,
        created_at=order.created_at,
        columns=_described(columns_of(connection, rows), contract),
        key=contract.key,
        session=contract.session,
        rows=one_number(connection, f"SELECT count(*) FROM {rows}"),
        layouts=layouts,
        sessions=_sessions(connection, rows, contract.session),
    )
    (folder / MANIFEST).write_bytes(manifest.model_dump_json().encode())
    return manifest


def _layout(connection: duckdb.DuckDBPyConnection, source: str, target: Path, order: list[str]) -> Layout:
    connection.execute(
        f"COPY (SELECT * FROM {source} ORDER BY {', '.join(map(identifier, order))})"
        f" TO {literal(str(target))} (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {ROW_GROUP_ROWS})"
    )
    with target.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Layout(order=order, file=target.name, bytes=target.stat().st_size, sha256=digest)


def _check_kept(given: Columns, manifest: Manifest) -> None:
    """Raises `BadField`: the file must hold the very types of the result, or a version would differ from its job."""
    for name, kind in given.items():
        kept = manifest.column(name)
        if kept is None or kept.type != kind:
            reason = f"{name!r} is of the type {kind}, which a snapshot cannot hold; cast it in the job"
            raise BadField(field="columns", reason=reason)


def _described(columns: Columns, contract: Contract) -> list[Column]:
    never_null = {*contract.key, *contract.not_null}
    return [Column(name=name, type=kind, nullable=name not in never_null) for name, kind in columns.items()]


def _sessions(connection: duckdb.DuckDBPyConnection, rows: str, session: str | None) -> list[Session]:
    """Rows whose session is null, or no day of the years 1 to 9999, are in none. Raises `BadField`: no dates at all."""
    if session is None:
        return []
    try:
        found = connection.execute(
            f"SELECT {day_of(session)} AS day, count(*) FROM {rows} GROUP BY day HAVING day IS NOT NULL ORDER BY day"
        ).fetchall()
    except duckdb.ConversionException:
        reason = f"{session!r} holds text that is no date like 2024-01-31; CAST it AS DATE in the job"
        raise BadField(field="contract.session", reason=reason) from None
    return [Session(session=day.isoformat(), rows=count) for day, count in found]


def _publish(partial: Path, folder: Path) -> None:
    """Bytes, then names, then the rename: a power cut shows the whole snapshot or none."""
    for file in partial.iterdir():
        file.chmod(_FILE_MODE)
        _synced(file)
    _synced(partial)
    partial.rename(folder)
    _synced(folder.parent)


def _synced(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
