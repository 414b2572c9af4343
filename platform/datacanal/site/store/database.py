"""The site's store on disk, migrated when it is opened."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Engine

from datacanal.storage import sqlite

MIGRATIONS = Path(__file__).parent.parent / "migrations"


def open_database(file: Path) -> Engine:
    """The engine on the migrated database. Two releases that read the same budget never both find room in it."""
    return sqlite.open_database(file, MIGRATIONS, begin="BEGIN IMMEDIATE")
