"""What differs between two snapshots: rows told apart by key, every common column, exactly.

One full outer join counts, and only where something differs a second one keeps the keys of those rows, for the number
of keys and the examples. Both spill. Nulls equal nulls and NaN equals NaN.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date

import duckdb

from datacanal.domain.errors import BadField
from datacanal.products.building.columns import column_changes
from datacanal.products.building.differing import differing_examples, keep_differing
from datacanal.products.building.engine import one_number
from datacanal.products.building.orders import CompareOrder, Comparison
from datacanal.products.building.pairs import Pair, pair_of, show_both, types_of
from datacanal.protocol.products import Difference, VersionDiff


def compare(order: CompareOrder, connection: duckdb.DuckDBPyConnection) -> Comparison:
    """The comparison. Raises `BadField` where the key names several rows, DuckDB's errors, and `FileNotFoundError`."""
    pair = pair_of(order.old, order.new)
    if has_same_rows(pair):
        return _comparison(pair, _Found())
    if not pair.has_one_key:
        return _comparison(pair, _Found(added=pair.new.rows, removed=pair.old.rows))
    show_both(pair, connection)
    return _comparison(pair, _found(pair, connection))


def has_same_rows(pair: Pair) -> bool:
    """Known without a look at the rows: the first layout holds all of them, so that equal bytes are equal rows."""
    return pair.old.layouts[0].sha256 == pair.new.layouts[0].sha256 and pair.old.key == pair.new.key


@dataclass(frozen=True)
class _Found:
    """`rows` and `keys` are what was restated of `sessions`."""

    added: int = 0
    removed: int = 0
    changed: int = 0
    sessions: Sequence[date] = ()
    rows: int = 0
    keys: int = 0
    examples: list[Difference] = field(default_factory=list)


def _found(pair: Pair, connection: duckdb.DuckDBPyConnection) -> _Found:
    states: Counter[str] = Counter()
    restated: Counter[date] = Counter()
    for session, state, rows in connection.execute(
        f"SELECT o.s, {pair.state} AS state, count(*) FROM old o FULL JOIN new n ON {pair.match} GROUP BY ALL"
    ).fetchall():
        states[state] += rows
        if session is not None and state in ("changed", "removed"):
            restated[session] += rows
    _check_unique(pair, states)
    if states.total() == states["same"]:
        return _Found()
    keep_differing(pair, connection)
    return _Found(
        added=states["added"],
        removed=states["removed"],
        changed=states["changed"],
        sessions=sorted(restated),
        rows=restated.total(),
        keys=_restated_keys(pair, connection),
        examples=differing_examples(pair, connection),
    )


def _check_unique(pair: Pair, states: Counter[str]) -> None:
    """Where every key has one row, the pairs add up to the rows of either side; a key twice makes a pair too many."""
    matched = states["same"] + states["changed"]
    if matched + states["removed"] != pair.old.rows or matched + states["added"] != pair.new.rows:
        reason = f"{', '.join(pair.old.key)} names several rows in {pair.old.version} or {pair.new.version}"
        raise BadField(field="key", reason=f"{reason}, so that rows cannot be told apart by it")


def _restated_keys(pair: Pair, connection: duckdb.DuckDBPyConnection) -> int:
    parts = [f"k{place}" for place, name in enumerate(pair.old.key) if name != pair.old.session] or ["s"]
    return one_number(
        connection,
        f"SELECT count(*) FROM (SELECT DISTINCT {', '.join(parts)} FROM differing"
        " WHERE state IN ('changed', 'removed') AND s IS NOT NULL)",
    )


def _comparison(pair: Pair, found: _Found) -> Comparison:
    columns = column_changes(types_of(pair.old), types_of(pair.new)).differences()
    if not pair.has_one_key:
        what = f"the key is {', '.join(pair.new.key)}, and was {', '.join(pair.old.key)}: no row is the same one"
        columns = [Difference(what=what), *columns]
    diff = VersionDiff(
        old=pair.old.version,
        new=pair.new.version,
        columns=columns,
        added=found.added,
        removed=found.removed,
        changed=found.changed,
        sessions=[session.isoformat() for session in found.sessions],
        examples=found.examples,
    )
    return Comparison(diff=diff, rows=found.rows, keys=found.keys)
