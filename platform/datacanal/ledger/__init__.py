"""The book: who may call data products, what they used, what is left and what it came to; its tables and migrations."""

from __future__ import annotations

from pathlib import Path

MIGRATIONS = Path(__file__).parent / "migrations"
DATABASE = "ledger.sqlite"
"""The embedded book's file in the home directory."""
SCHEMA = "ledger"
"""Where the book is in a PostgreSQL database."""
