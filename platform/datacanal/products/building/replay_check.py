"""Whether developers' recent requests are answered as they were."""

from __future__ import annotations

import duckdb

from datacanal.products.building.orders import CheckOrder, Replay
from datacanal.products.building.replaying import replay
from datacanal.protocol.products import Check


def replay_check(order: CheckOrder, connection: duckdb.DuckDBPyConnection, *, has_unique_key: bool) -> Check:
    """Held for answers that changed or lost rows; rows that are only new are told. A publisher may accept it."""
    if order.against is None:
        return _skipped("There is no version whose answers could be compared.")
    if not has_unique_key:
        return _skipped("Answers are compared by key, and the key does not name each row once.")
    if not order.queries:
        return _skipped("Nobody asked the version before anything.")
    return _judged(replay(order.against, order.folder, order.queries, connection))


def _judged(found: Replay) -> Check:
    unasked = f" {found.unasked} more were not replayed: there was no time for them." if found.unasked else ""
    grown = f" {len(found.grown)} answers have new rows." if found.grown else ""
    differences = [*found.broken, *found.grown][:100]
    if not found.broken:
        says = f"{found.replayed} recent requests are answered as they were.{grown}{unasked}"
        return Check(check="replay", outcome="passed", says=says, differences=differences)
    says = (
        f"{len(found.broken)} of {found.replayed} recent requests are answered otherwise.{grown}{unasked}"
        " Look at the rows named; accept it where the new values are right, and say why."
    )
    return Check(check="replay", outcome="held", says=says, acceptable=True, differences=differences)


def _skipped(says: str) -> Check:
    return Check(check="replay", outcome="skipped", says=says)
