"""Alembic's entry to the migrations of the book."""

from __future__ import annotations

from datacanal.ledger.models import TABLES
from datacanal.storage.migrating import run_migrations

run_migrations(TABLES)
