"""Whether a version has the columns that its contract promises within a major version."""

from __future__ import annotations

from datacanal.products.building.columns import ColumnChanges, Columns, column_changes, listed
from datacanal.products.building.pairs import types_of
from datacanal.products.manifest import Manifest
from datacanal.protocol.products import Check, Contract


def schema_check(contract: Contract, new: Manifest, old: Manifest | None, *, major: bool) -> Check:
    """Columns may come and be put in another order; none may go or change its type, whatever the publisher says."""
    promised = _promised(contract, old, major=major)
    if promised is None:
        says = "The first version of its major version: its columns are what the next ones keep."
        return Check(check="schema", outcome="skipped", says=says)
    changes = column_changes(promised, types_of(new))
    if changes.breaking:
        says = (
            f"{_broken(changes)}, against what readers were promised. "
            "Give them back as they were, or publish a new major version."
        )
        return Check(check="schema", outcome="held", says=says, differences=changes.differences())
    added = f"; {len(changes.added)} more came" if changes.added else ""
    says = f"All {len(promised)} columns promised are there with their types{added}."
    return Check(check="schema", outcome="passed", says=says, differences=changes.differences())


def _broken(changes: ColumnChanges) -> str:
    parts = ((changes.dropped, "no column {} any more"), (changes.retyped, "another type of {}"))
    said = " and ".join(words.format(listed(list(names))) for names, words in parts if names)
    return f"The version has {said}"


def _promised(contract: Contract, old: Manifest | None, *, major: bool) -> Columns | None:
    if contract.columns is not None:
        return contract.columns
    return None if old is None or major else types_of(old)
