"""Alembic's entry to the migrations of this store."""

from __future__ import annotations

from datacanal.site.store import approvals, entity_sets, fences, policies  # noqa: F401  # their tables belong to the metadata
from datacanal.site.store.models import Base
from datacanal.storage.migrating import run_migrations

run_migrations(Base.metadata)
