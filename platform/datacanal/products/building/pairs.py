"""Two snapshots side by side as the views `old` and `new`, whose columns are named by place.

`k0`, `k1`, … are the key in the old one's order, `v0`, … the other columns that both have with the same type, `s` is
the old one's session (a DATE), `there` is true. A name of the data can so never be mistaken for one of ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import duckdb

from datacanal.planning.quoting import identifier
from datacanal.products.building.engine import parquet
from datacanal.products.manifest import BY_KEY, Manifest, read_manifest

DAYS = "BETWEEN DATE '0001-01-01' AND DATE '9999-12-31'"
"""Those that a session can be; infinite dates and others beyond are in none."""


@dataclass(frozen=True)
class Pair:
    """Both snapshots' folders and manifests."""

    old_folder: Path
    old: Manifest
    new_folder: Path
    new: Manifest

    @cached_property
    def values(self) -> list[str]:
        """The common columns of one type beside the key, in the old one's order."""
        new = types_of(self.new)
        return [
            each.name for each in self.old.columns if each.name not in self.old.key and new.get(each.name) == each.type
        ]

    @property
    def has_one_key(self) -> bool:
        """Whether rows can be told apart by the same columns in both."""
        return set(self.old.key) == set(self.new.key)

    @property
    def match(self) -> str:
        """The condition that a row of `old o` and one of `new n` have the same key."""
        return " AND ".join(f"o.k{place} IS NOT DISTINCT FROM n.k{place}" for place in range(len(self.old.key)))

    @property
    def state(self) -> str:
        """What became of the row in their full join: added, removed, changed or same."""
        differs = " OR ".join(f"o.v{place} IS DISTINCT FROM n.v{place}" for place in range(len(self.values)))
        return (
            "CASE WHEN n.there IS NULL THEN 'removed' WHEN o.there IS NULL THEN 'added'"
            f" WHEN {differs or 'false'} THEN 'changed' ELSE 'same' END"
        )


def pair_of(old: Path, new: Path) -> Pair:
    """Raises `FileNotFoundError` where one of the folders is no snapshot."""
    return Pair(old, read_manifest(old), new, read_manifest(new))


def types_of(manifest: Manifest) -> dict[str, str]:
    """Name to type, in order."""
    return {column.name: column.type for column in manifest.columns}


def day_of(session: str) -> str:
    """The day of a session column as an expression; null where it is none."""
    day = f"CAST({identifier(session)} AS DATE)"
    return f"CASE WHEN {day} {DAYS} THEN {day} END"


def show_both(pair: Pair, connection: duckdb.DuckDBPyConnection) -> None:
    """Make the views. They read the layout of the key."""
    session = "CAST(NULL AS DATE)" if pair.old.session is None else day_of(pair.old.session)
    for view, folder, day in (("old", pair.old_folder, f", {session} AS s"), ("new", pair.new_folder, "")):
        keys = [f"{_comparable(pair, name)} AS k{place}" for place, name in enumerate(pair.old.key)]
        values = [f"{identifier(name)} AS v{place}" for place, name in enumerate(pair.values)]
        file = parquet(folder / BY_KEY)
        connection.execute(
            f"CREATE VIEW {view} AS SELECT {', '.join([*keys, *values])}, true AS there{day} FROM {file}"
        )


def _comparable(pair: Pair, name: str) -> str:
    """A key that was retyped is compared as text."""
    same = types_of(pair.old)[name] == types_of(pair.new)[name]
    return identifier(name) if same else f"CAST({identifier(name)} AS VARCHAR)"
