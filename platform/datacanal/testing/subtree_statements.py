"""Random statements with parts whose tables are all at one site: what the rule of whole subtrees is tested with.

A part groups, counts, joins or cuts the tables of one lake; it stands in FROM, in WITH (used once or twice) or as a
branch of a set operation, beside tables or parts of the other lake.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from datacanal.testing.statements import Statement

_LAKES = ("transactions", "users")
_TABLES = {
    "transactions": {"transactions.payments": "payment_id", "transactions.readings": "n"},
    "users": {"users.people": "person_id", "users.ghosts": "ghost_id"},
}
_MEASURES = {
    "transactions.payments": ("sum({0}.amount)", "max({0}.booked)", "count({0}.channel)", "sum({0}.amount * 2)"),
    "transactions.readings": ("sum({0}.n)", "min({0}.day)", "count(DISTINCT {0}.note)", "avg({0}.n)"),
    "users.people": ("sum({0}.person_id)", "max({0}.name)", "count({0}.parent_id)", "min({0}.born)"),
    "users.ghosts": ("sum({0}.fee)", "max({0}.label)", "count({0}.weight)", "min({0}.ghost_id)"),
}
_FILTERS = {
    "transactions.payments": ("{0}.channel = 'card'", "{0}.amount > 20", "{0}.booked < DATE '2024-01-20'"),
    "transactions.readings": ("{0}.n = 1", "{0}.closed", "{0}.note LIKE 'h%' OR {0}.note IS NULL"),
    "users.people": ("{0}.active", "{0}.born > DATE '1980-01-01'", "{0}.name <> 'Ada'"),
    "users.ghosts": ("{0}.awake", "{0}.fee > 1"),
}
_OUTER = ("x.m > 1", "x.k < 9", "x.k IS NOT NULL", "100 / (x.m + 1) < 60", "x.k IN (1, 2, 3, 5)", "x.m + x.k > 4")


@dataclass(frozen=True)
class _Part:
    """A query with the columns k (INTEGER) and m (BIGINT)."""

    sql: str
    lake: str


def subtree_statement_of(seed: int) -> Statement:
    """The statement of a seed: the same one every time."""
    return Statement(_Maker(Random(seed)).statement(), {})


class _Maker:
    def __init__(self, rng: Random) -> None:
        self._rng = rng

    def statement(self) -> str:
        """One that reads both lakes."""
        rng = self._rng
        here, there = rng.sample(_LAKES, 2)
        part, table = self._part(here), rng.choice(sorted(_TABLES[there]))
        shape = rng.choice((self._joined, self._joined, self._shared, self._united, self._paired))
        return shape(part, there, table)

    def _joined(self, part: _Part, _there: str, table: str) -> str:
        rng = self._rng
        kind = rng.choice(("JOIN", "LEFT JOIN", "RIGHT JOIN", "SEMI JOIN", "FULL JOIN"))
        source = f"({part.sql}) AS x {kind} {table} AS o ON x.k = o.account_id"
        where = f" WHERE {rng.choice(_OUTER)}" if rng.random() < 0.6 else ""
        if kind == "SEMI JOIN" or rng.random() < 0.4:
            return f"SELECT x.k, x.m FROM {source}{where}"
        measure = rng.choice(_MEASURES[table]).format("o")
        return f"SELECT x.k, count(*) AS c, {measure} AS v FROM {source}{where} GROUP BY ALL"

    def _shared(self, part: _Part, _there: str, table: str) -> str:
        """WITH, used twice: both uses must see the same rows."""
        rng = self._rng
        hint = rng.choice(("", "MATERIALIZED ", "NOT MATERIALIZED "))
        second = rng.choice(("x.k = y.m", "x.m = y.m", "x.k = y.k"))
        return (
            f"WITH c AS {hint}({part.sql}) SELECT x.k, y.m, count(o.account_id) AS n FROM c AS x "
            f"JOIN c AS y ON {second} LEFT JOIN {table} AS o ON o.account_id = y.k GROUP BY ALL"
        )

    def _united(self, part: _Part, there: str, _table: str) -> str:
        rng = self._rng
        operation = rng.choice(("UNION ALL", "UNION", "EXCEPT", "INTERSECT", "UNION ALL BY NAME", "EXCEPT ALL"))
        other = self._part(there)
        first, second = (part, other) if rng.random() < 0.5 else (other, part)
        return f"{_bracketed(first)} {operation} {_bracketed(second)}"

    def _paired(self, part: _Part, there: str, _table: str) -> str:
        """A part of each lake."""
        other = self._part(there)
        where = f" WHERE {self._rng.choice(_OUTER)}" if self._rng.random() < 0.5 else ""
        return f"SELECT x.k, x.m, y.m AS n FROM ({part.sql}) AS x JOIN ({other.sql}) AS y ON x.k = y.k{where}"

    def _part(self, lake: str, depth: int = 1) -> _Part:
        shapes = (self._grouped, self._grouped, self._distinct, self._local_join, self._top, self._nested)
        shape = self._rng.choice(shapes)
        return _Part(shape(lake, depth), lake)

    def _grouped(self, lake: str, _depth: int) -> str:
        rng = self._rng
        table = rng.choice(sorted(_TABLES[lake]))
        measured = f" HAVING {rng.choice(_MEASURES[table]).format('t')} IS NOT NULL"
        having = rng.choice(("", " HAVING count(*) > 1", measured))
        return f"SELECT t.account_id AS k, count(*) AS m FROM {self._rows(table)} GROUP BY t.account_id{having}"

    def _distinct(self, lake: str, _depth: int) -> str:
        table = self._rng.choice(sorted(_TABLES[lake]))
        return f"SELECT DISTINCT t.account_id AS k, t.{_TABLES[lake][table]}::BIGINT AS m FROM {self._rows(table)}"

    def _local_join(self, lake: str, _depth: int) -> str:
        one, other = self._rng.choice(sorted(_TABLES[lake])), self._rng.choice(sorted(_TABLES[lake]))
        return (
            f"SELECT u.account_id AS k, count(*) AS m FROM {one} AS t JOIN {other} AS u ON t.account_id = u.account_id "
            "GROUP BY u.account_id"
        )

    def _top(self, lake: str, _depth: int) -> str:
        inner = self._grouped(lake, 0)
        order = self._rng.choice(("k", "m DESC, k", "k DESC NULLS LAST, m"))
        return f"SELECT k, m FROM ({inner}) AS g ORDER BY {order} LIMIT {self._rng.randint(1, 6)}"

    def _nested(self, lake: str, depth: int) -> str:
        if not depth:
            return self._grouped(lake, 0)
        inner = self._part(lake, depth - 1)
        return f"SELECT max(g.k) AS k, g.m FROM ({inner.sql}) AS g GROUP BY g.m"

    def _rows(self, table: str) -> str:
        where = f" WHERE {self._rng.choice(_FILTERS[table]).format('t')}" if self._rng.random() < 0.5 else ""
        return f"{table} AS t{where}"


def _bracketed(part: _Part) -> str:
    return f"({part.sql})"
