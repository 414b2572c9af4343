"""Alembic's entry to the migrations of this store."""

from __future__ import annotations

from datacanal.site.store import policies  # noqa: F401  # its table belongs to the metadata
from datacanal.site.store.models import Base
from datacanal.storage.migrating import run_migrations

run_migrations(Base.metadata)
