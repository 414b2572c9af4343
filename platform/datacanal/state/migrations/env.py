"""Alembic's entry to the migrations of this store."""

from __future__ import annotations

from datacanal.state.tables import TABLES
from datacanal.storage.migrating import run_migrations

run_migrations(TABLES)
