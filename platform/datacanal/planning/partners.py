"""Which tables of its own site an occurrence is joined with before it travels: rule 4's choice and its SQL.

A partner is used when the statistics say that it saves bytes. They may be wrong; the rows that are left are right
whatever they say, since a join group (see `join_groups`) drops rows that no answer needs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from datacanal.planning.estimates import matched_share, scanned_bytes, selectivity
from datacanal.planning.filters import PLAIN_TYPE, Expression, conjunction, key
from datacanal.planning.join_groups import JoinGroup
from datacanal.planning.joined_rows import Column
from datacanal.planning.names import Occurrence
from datacanal.planning.tree_walk import objects
from datacanal.protocol.catalogue import DatasetColumn
from datacanal.protocol.labels import FREE

_DEPTH = 4
_CANDIDATES = 4
_WORTHWHILE = 0.9


@dataclass(frozen=True)
class Filtered:
    """An occurrence and the rows of it that any answer can need.

    `alternatives` are the conjuncts of each of its scans, in base names: a needed row fulfils one of them. `condition`
    says the same in the dataset's own names.
    """

    occurrence: Occurrence
    alternatives: tuple[tuple[Expression, ...], ...] = ()
    condition: Expression | None = None


@dataclass(frozen=True)
class Partner:
    """Rows travel that have a partner here. `keys` are pairs of positions: the traveller's column, the partner's."""

    rows: Filtered
    keys: tuple[tuple[int, int], ...]
    partners: tuple[Partner, ...]

    @property
    def identity(self) -> str:
        """Equal for partners that keep the same rows."""
        inner = ",".join(sorted(partner.identity for partner in self.partners))
        condition = key(self.rows.condition) if self.rows.condition else ""
        return f"{self.rows.occurrence.dataset.qualified_name}{self.keys}{condition}({inner})"

    def all_rows(self) -> Iterator[Filtered]:
        """What it reads, its own partners included."""
        yield self.rows
        for partner in self.partners:
            yield from partner.all_rows()

    @property
    def scanned_bytes(self) -> int:
        """Bytes of the columns that it is asked for, its own partners' included."""
        positions = {other for _, other in self.keys} | {own for inner in self.partners for own, _ in inner.keys}
        columns = self.rows.occurrence.dataset.columns
        filtered = {column.name for column in _used(self.rows)}
        positions |= {number for number, column in enumerate(columns) if column.name in filtered}
        own = scanned_bytes(self.rows.occurrence.dataset, sorted(positions))
        return own + sum(partner.scanned_bytes for partner in self.partners)

    def without_filters(self, refuted: frozenset[str]) -> Partner:
        """The same with all rows of the occurrences named."""
        inner = tuple(partner.without_filters(refuted) for partner in self.partners)
        rows = self.rows if self.rows.occurrence.name not in refuted else Filtered(self.rows.occurrence)
        return Partner(rows, self.keys, inner)


class Matchmaker:
    """Finds partners for the occurrences of one statement."""

    def __init__(self, filtered: Sequence[Filtered], groups: Sequence[JoinGroup]) -> None:
        self._filtered = {each.occurrence.name: each for each in filtered}
        self._classes = list(_classes(groups))

    def partners_of(self, occurrence: Occurrence) -> tuple[tuple[Partner, ...], float]:
        """The partners worth their while, and the share of rows that they leave."""
        return self._grown(occurrence, {occurrence.name}, _DEPTH)

    def _grown(self, occurrence: Occurrence, used: set[str], depth: int) -> tuple[tuple[Partner, ...], float]:
        """Greedy, the smallest partner first; `used` grows by those that are taken."""
        found: list[Partner] = []
        left = 1.0
        for candidate, keys in self._candidates(occurrence, used) if depth else ():
            if candidate.name in used:
                continue
            inside = {*used, candidate.name}
            partner, share = self._partner(occurrence, candidate, keys, inside, depth)
            if share <= _WORTHWHILE:
                found.append(partner)
                left *= share
                used |= {rows.occurrence.name for rows in partner.all_rows()}
        return tuple(found), left

    def _partner(
        self,
        occurrence: Occurrence,
        candidate: Occurrence,
        keys: tuple[tuple[int, int], ...],
        used: set[str],
        depth: int,
    ) -> tuple[Partner, float]:
        rows = _untelling(self._filtered[candidate.name])
        partners, share = self._grown(candidate, used, depth - 1)
        if rows.condition is not None:
            share *= selectivity(rows.condition, candidate.dataset)
        return Partner(rows, keys, partners), matched_share(occurrence.dataset, candidate.dataset, keys, share)

    def _candidates(
        self, occurrence: Occurrence, used: set[str]
    ) -> list[tuple[Occurrence, tuple[tuple[int, int], ...]]]:
        """The smallest datasets of the same site that it is joined with, and on what."""
        found: dict[str, list[tuple[int, int]]] = {}
        for own, other in self._equal_columns(occurrence):
            partner = self._filtered[other.occurrence].occurrence
            if partner.name not in used and _may_meet(occurrence, own, partner, other):
                found.setdefault(partner.name, []).append((own.position, other.position))
        listed = [(self._filtered[name].occurrence, tuple(sorted(keys))) for name, keys in found.items()]
        listed.sort(key=lambda each: (each[0].dataset.rows, each[0].name))
        return listed[:_CANDIDATES]

    def _equal_columns(self, occurrence: Occurrence) -> Iterator[tuple[Column, Column]]:
        """Of each class of equal columns one of the occurrence's own with one of each other occurrence at its site."""
        for equal in self._classes:
            own = [column for column in equal if column.occurrence == occurrence.name]
            others: dict[str, Column] = {}
            for column in equal:
                others.setdefault(column.occurrence, column)
            for other in others.values() if own else ():
                site = self._filtered[other.occurrence].occurrence.dataset.site
                if other.occurrence != occurrence.name and site == occurrence.dataset.site:
                    yield own[0], other


def scan_node(rows: Filtered, columns: Sequence[int], partners: Sequence[Partner]) -> dict[str, Any]:
    """The tree of the SELECT of those columns of the rows that have all the partners."""
    return _Writer().select(rows, columns, partners, named=False)


class _Writer:
    """Gives each table and each subquery a name of its own."""

    def __init__(self) -> None:
        self._tables = 0

    def select(
        self, rows: Filtered, columns: Sequence[int], partners: Sequence[Partner], *, named: bool
    ) -> dict[str, Any]:
        """`named` gives the columns the names k0, k1…: keys of a subquery, which would clash under their own."""
        table = f"t{self._tables}"
        self._tables += 1
        wanted = [_reference(table, _name(rows, position)) for position in columns]
        if named:
            wanted = [{**each, "alias": f"k{number}"} for number, each in enumerate(wanted)]
        source = _table(rows.occurrence, table)
        for partner in partners:
            source = self._semi_join(source, rows, table, partner)
        node = {
            "type": "SELECT_NODE",
            "select_list": wanted,
            "cte_map": {"map": []},
            "from_table": source,
            "aggregate_handling": "STANDARD_HANDLING",
        }
        if rows.condition is not None:
            node["where_clause"] = _of_table(rows.condition, table)
        return node

    def _semi_join(self, source: dict[str, Any], rows: Filtered, table: str, partner: Partner) -> dict[str, Any]:
        inner = self.select(partner.rows, [other for _, other in partner.keys], partner.partners, named=True)
        alias = f"s{self._tables}"
        self._tables += 1
        equal = [
            {
                "class": "COMPARISON",
                "type": "COMPARE_EQUAL",
                "left": _reference(table, _name(rows, own)),
                "right": _reference(alias, f"k{number}"),
            }
            for number, (own, _) in enumerate(partner.keys)
        ]
        return {
            "type": "JOIN",
            "left": source,
            "right": {"type": "SUBQUERY", "alias": alias, "subquery": {"node": inner}},
            "condition": conjunction("AND", equal),
            "join_type": "SEMI",
            "ref_type": "REGULAR",
            "is_implicit": False,
        }


def _classes(groups: Sequence[JoinGroup]) -> Iterator[list[Column]]:
    """The columns of each group that are all equal, by its equalities and what follows from them."""
    for group in groups:
        leaders: dict[Column, Column] = {}

        def leader(column: Column, leaders: dict[Column, Column] = leaders) -> Column:
            while leaders.setdefault(column, column) != column:
                column = leaders[column]
            return column

        for left, right in group.equalities:
            leaders[leader(left)] = leader(right)
        classes: dict[Column, list[Column]] = {}
        for column in sorted(leaders):
            classes.setdefault(leader(column), []).append(column)
        yield from classes.values()


def _may_meet(occurrence: Occurrence, own: Column, partner: Occurrence, other: Column) -> bool:
    """Whether rows may be dropped by this equality: keys of one listed type, and of classes that tell nothing by it."""
    one, two = _column(occurrence, own.position), _column(partner, other.position)
    if one.type != two.type or not PLAIN_TYPE.fullmatch(one.type) or one.type in ("FLOAT", "DOUBLE"):
        return False
    if _is_free(one) and _is_free(two):
        return True
    both_keys = one.label.policy_class == two.label.policy_class == "join_key"
    return both_keys and occurrence.dataset.qualified_name != partner.dataset.qualified_name


def _untelling(rows: Filtered) -> Filtered:
    """Without a condition on governed columns: which rows it keeps would show in the rows that travel."""
    return rows if all(map(_is_free, _used(rows))) else Filtered(rows.occurrence)


def _used(rows: Filtered) -> list[DatasetColumn]:
    """The columns that its condition names."""
    named = {column.name.lower(): column for column in rows.occurrence.dataset.columns}
    return [named[each["column_names"][-1].lower()] for each in objects(rows.condition) if "column_names" in each]


def _is_free(column: DatasetColumn) -> bool:
    return column.label.policy_class in FREE


def _column(occurrence: Occurrence, position: int) -> DatasetColumn:
    return occurrence.dataset.columns[position]


def _name(rows: Filtered, position: int) -> str:
    return _column(rows.occurrence, position).name


def _reference(table: str, column: str) -> dict[str, Any]:
    return {"class": "COLUMN_REF", "type": "COLUMN_REF", "column_names": [table, column]}


def _table(occurrence: Occurrence, alias: str) -> dict[str, Any]:
    path = [occurrence.name, occurrence.dataset.lake, occurrence.dataset.name]
    return {
        "type": "BASE_TABLE",
        "alias": alias,
        "catalog_name": path[0],
        "schema_name": path[1],
        "table_name": path[2],
        "qualified_name": {"path": path},
    }


def _of_table(expression: Any, table: str) -> Any:
    """The expression with each column said to be the table's."""
    if isinstance(expression, list):
        return [_of_table(item, table) for item in expression]
    if not isinstance(expression, dict):
        return expression
    if "column_names" in expression:
        return _reference(table, expression["column_names"][-1])
    return {name: _of_table(item, table) for name, item in expression.items()}
