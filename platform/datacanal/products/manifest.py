"""A snapshot on disk: its folder, and the manifest that says what is in it. Nothing in it ever changes."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import Field

from datacanal.protocol.base import Document

MANIFEST = "manifest.json"
BY_KEY = "by_key.parquet"
BY_SESSION = "by_session.parquet"
ROW_GROUP_ROWS = 16_384


class Column(Document):
    """`type` is the DuckDB type that the snapshot's Parquet files hold."""

    name: str
    type: str
    nullable: bool = True


class Layout(Document):
    """The rows in that order, in one file of the snapshot's folder."""

    order: list[str]
    file: str
    bytes: int
    sha256: str


class Session(Document):
    """One session's rows; `session` as DuckDB prints the session column."""

    session: str
    rows: int


class Manifest(Document):
    """`layouts` begins with the order of the key. `sessions` are in order; none without a session column."""

    format: Literal[1] = 1
    product: str
    version: str
    snapshot: str
    created_at: datetime
    columns: list[Column]
    key: list[str]
    session: str | None = None
    rows: int
    layouts: list[Layout] = Field(min_length=1)
    sessions: list[Session] = Field(default_factory=list)

    def column(self, name: str) -> Column | None:
        """The column of that name, exactly."""
        return next((column for column in self.columns if column.name == name), None)


def snapshot_folder(store: Path, product: str, snapshot: str) -> Path:
    """Where the snapshot lies. The names were checked where they came in."""
    return store / product / snapshot


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a finished snapshot. Raises `FileNotFoundError`."""
    return Manifest.model_validate_json((folder / MANIFEST).read_bytes())
