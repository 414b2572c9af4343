"""The book: who may call data products, what they used, what is left and what it came to; its tables and migrations."""

from __future__ import annotations

from pathlib import Path

from datacanal.storage.places import Place

MIGRATIONS = Path(__file__).parent / "migrations"
DATABASE = "ledger.sqlite"
"""The embedded book's file in the home directory."""
PLACE = Place(DATABASE, "ledger", MIGRATIONS)
