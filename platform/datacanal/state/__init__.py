"""The state store that control plane and gateway share: its tables and their migrations."""

from __future__ import annotations

from pathlib import Path

from datacanal.storage.places import Place

MIGRATIONS = Path(__file__).parent / "migrations"
DATABASE = "control.sqlite"
"""The embedded store's file in the home directory."""
PLACE = Place(DATABASE, "state", MIGRATIONS)
