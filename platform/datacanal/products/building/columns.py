"""The columns of a file, whether a product can be made of them, and how two versions' columns differ."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import duckdb

from datacanal.domain.errors import BadField
from datacanal.formats.sqltext import parsed_type
from datacanal.protocol.products import Contract, Difference

Columns = Mapping[str, str]
"""Name to DuckDB type, in order."""

MOST_COLUMNS = 1000
_LONGEST_NAME = 255
_NESTED = frozenset({"list", "array", "struct", "map", "union", "variant"})
_OF_DAYS = frozenset({"DATE", "TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS", "VARCHAR"})


def columns_of(connection: duckdb.DuckDBPyConnection, relation: str) -> Columns:
    """What the relation has."""
    return {name: kind for name, kind, *_ in connection.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()}


def check_columns(columns: Columns, contract: Contract) -> None:
    """Raises `BadField` where no snapshot under this contract can be made of these columns."""
    if len(columns) > MOST_COLUMNS:
        raise BadField(field="columns", reason=f"the result has {len(columns)}, and a product at most {MOST_COLUMNS}")
    for name in columns:
        _check_name(name)
    for name in contract.key:
        _check_key(name, columns)
    if contract.session is not None:
        _check_session(contract.session, columns)


def _check_name(name: str) -> None:
    if not name.strip() or len(name) > _LONGEST_NAME:
        reason = f"a column is called {name[:40]!r}; a name of 1 to {_LONGEST_NAME} characters is needed (AS …)"
        raise BadField(field="columns", reason=reason)


def _check_key(name: str, columns: Columns) -> None:
    if parsed_type(_type_of(name, columns, "contract.key")).id in _NESTED:
        reason = f"{name!r} is of the type {columns[name]}; a key's columns hold single values"
        raise BadField(field="contract.key", reason=reason)


def _check_session(name: str, columns: Columns) -> None:
    kind = _type_of(name, columns, "contract.session")
    if kind not in _OF_DAYS:
        reason = f"{name!r} is of the type {kind}; a DATE is needed (CAST(… AS DATE) in the job)"
        raise BadField(field="contract.session", reason=reason)


def _type_of(name: str, columns: Columns, field: str) -> str:
    if name in columns:
        return columns[name]
    near = difflib.get_close_matches(name, columns, n=1)
    hint = f"; is {near[0]!r} meant?" if near else f"; it has {', '.join(list(columns)[:20])}"
    raise BadField(field=field, reason=f"the result has no column {name!r}{hint}")


@dataclass(frozen=True)
class ColumnChanges:
    """`retyped`: name to old and new type. The order of columns is no change."""

    added: Columns
    dropped: Columns
    retyped: Mapping[str, tuple[str, str]]

    @property
    def breaking(self) -> bool:
        """Whether a reader of the old columns can be surprised."""
        return bool(self.dropped or self.retyped)

    def differences(self) -> list[Difference]:
        """In words; at most a hundred."""
        dropped = [f"the column {name!r} ({kind}) was dropped" for name, kind in self.dropped.items()]
        retyped = [f"the column {name!r} is {new}, and was {old}" for name, (old, new) in self.retyped.items()]
        added = [f"the column {name!r} ({kind}) was added" for name, kind in self.added.items()]
        return [Difference(what=what) for what in [*dropped, *retyped, *added][:100]]


def column_changes(old: Columns, new: Columns) -> ColumnChanges:
    """From the old columns to the new ones."""
    return ColumnChanges(
        added={name: kind for name, kind in new.items() if name not in old},
        dropped={name: kind for name, kind in old.items() if name not in new},
        retyped={name: (old[name], new[name]) for name in old if name in new and old[name] != new[name]},
    )


def listed(names: Sequence[str]) -> str:
    """Names for a sentence; of many the first ten."""
    rest = f" and {len(names) - 10} more" if len(names) > 10 else ""
    return ", ".join(map(repr, names[:10])) + rest
