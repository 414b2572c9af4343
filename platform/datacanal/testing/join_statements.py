"""Random joins in which several tables of one site meet: what the rules of local joins are tested with.

Each statement joins two to six tables of the sample on plain columns, some in subqueries, with filters of shapes that
may travel and of shapes that may not; the answer is counted, grouped, or given as it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from datacanal.testing.statements import Statement

_TABLES = {
    "transactions": ("transactions.payments", "transactions.readings"),
    "users": (*("users.people",) * 4, "users.ghosts"),
}
_KEYS = {
    "transactions.payments": ("account_id", "account_id", "payment_id", "channel", "booked", "flags"),
    "transactions.readings": ("account_id", "account_id", "n", "note", "day"),
    "users.people": ("account_id", "account_id", "person_id", "parent_id", "name", "born"),
    "users.ghosts": ("account_id", "ghost_id", "label"),
}
_TYPES = {
    **dict.fromkeys(("account_id", "payment_id", "flags", "n", "person_id", "parent_id", "ghost_id"), "number"),
    **dict.fromkeys(("channel", "note", "name", "label"), "text"),
    **dict.fromkeys(("booked", "day", "born"), "date"),
}
_FILTERS = {
    "transactions.payments": (
        "{0}.channel = 'card'",
        "{0}.amount > 20",
        "{0}.booked < DATE '2024-01-20'",
        "{0}.channel LIKE 'c%'",
        "{0}.account_id IN (1, 3, 5, 8)",
        "{0}.risk = 'low'",
        "{0}.payment_id + 1 < 40",
        "{0}.memo IS NULL",
        "100 / {0}.payment_id < 50",
    ),
    "transactions.readings": (
        "{0}.n = 1",
        "{0}.note = 'low' OR {0}.note IS NULL",
        "{0}.closed",
        "{0}.day > DATE '2024-01-08'",
        "{0}.account_id BETWEEN 2 AND 7",
        "{0}.n * {0}.n > 1",
    ),
    "users.people": (
        "{0}.name = 'Ada'",
        "{0}.active",
        "{0}.grade = 'mid'",
        "{0}.parent_id < 4",
        "{0}.born > DATE '1980-01-01'",
        "{0}.account_id <> 5",
        "length({0}.name) = 3",
        "NOT {0}.active",
    ),
    "users.ghosts": ("{0}.awake", "{0}.fee > 1"),
}
_MEASURES = {
    "transactions.payments": "sum({0}.amount)",
    "transactions.readings": "sum({0}.n)",
    "users.people": "sum({0}.person_id)",
    "users.ghosts": "max({0}.fee)",
}


@dataclass(frozen=True)
class _Use:
    """A table under its alias."""

    table: str
    alias: str

    def columns(self, kind: str | None = None) -> list[str]:
        return [name for name in _KEYS[self.table] if kind is None or _TYPES[name] == kind]


def join_statement_of(seed: int) -> Statement:
    """The statement of a seed: the same one every time."""
    return Statement(_Maker(Random(seed)).statement(), {})


class _Maker:
    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._home = rng.choice(sorted(_TABLES))
        self._uses = 0
        self._texts_joined = False

    def statement(self) -> str:
        """A count, groups, or the rows, over a join."""
        source, uses, conditions = self._source(self._rng.randint(2, 4))
        where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
        first, last = uses[0], uses[-1]
        style = self._rng.random()
        if style < 0.3:
            return f"SELECT count(*) AS c, {self._measure(first)} AS m FROM {source}{where}"
        key = f"{last.alias}.{self._rng.choice(last.columns())}"
        if style < 0.7:
            having = self._rng.choice(("", " HAVING count(*) > 1"))
            items = f"{key} AS k, count(*) AS c, {self._measure(first)} AS m"
            return f"SELECT {items} FROM {source}{where} GROUP BY ALL{having}"
        other = f"{first.alias}.{self._rng.choice(first.columns())}"
        distinct = self._rng.choice(("", "DISTINCT "))
        return f"SELECT {distinct}{key} AS k, {other} AS o FROM {source}{where}"

    def _source(self, tables: int) -> tuple[str, list[_Use], list[str]]:
        """FROM, the tables that can be named, and conditions."""
        rng = self._rng
        uses = [self._use()]
        source, conditions = self._written(uses[0]), []
        commas = rng.random() < 0.5
        for _ in range(tables - 1):
            use = self._use()
            equal = self._equality(rng.choice(uses), use)
            kind = (
                ","
                if commas
                else rng.choice(("JOIN", "JOIN", "JOIN", "LEFT JOIN", "RIGHT JOIN", "SEMI JOIN", "ANTI JOIN"))
            )
            if kind == ",":
                source += f", {self._written(use)}"
                conditions.append(equal)
            else:
                source += f" {kind} {self._written(use)} ON {equal}"
            if kind not in ("SEMI JOIN", "ANTI JOIN"):
                uses.append(use)
        conditions += [self._filter(use) for use in uses if rng.random() < 0.7]
        if rng.random() < 0.5:
            conditions.append(self._subquery(rng.choice(uses)))
        return source, uses, conditions

    def _use(self) -> _Use:
        """Most tables of a statement are of one lake, the first is of the other."""
        self._uses += 1
        away = self._uses == 1 or self._rng.random() < 0.2
        lake = next(lake for lake in sorted(_TABLES) if (lake == self._home) != away)
        return _Use(self._rng.choice(_TABLES[lake]), f"t{self._uses}")

    def _written(self, use: _Use) -> str:
        """The table, or a subquery of it, with or without a filter or an operator that holds rows back."""
        rng = self._rng
        style = rng.random()
        if style < 0.75:
            return f"{use.table} AS {use.alias}"
        where = f" WHERE {self._filter(_Use(use.table, 'i'))}" if rng.random() < 0.7 else ""
        distinct = "DISTINCT " if style < 0.8 and use.table != "users.people" else ""
        return f"(SELECT {distinct}* FROM {use.table} AS i{where}) AS {use.alias}"

    def _equality(self, one: _Use, other: _Use) -> str:
        """Texts repeat so much that a statement joins on them once at most."""
        rng = self._rng
        left = rng.choice(one.columns())
        is_text = _TYPES[left] == "text"
        fitting = other.columns(_TYPES[left])
        if not fitting or rng.random() < 0.6 or (is_text and self._texts_joined):
            return f"{one.alias}.account_id = {other.alias}.account_id"
        self._texts_joined |= is_text
        sides = [f"{one.alias}.{left}", f"{other.alias}.{rng.choice(fitting)}"]
        rng.shuffle(sides)
        return " = ".join(sides)

    def _filter(self, use: _Use) -> str:
        return f"({self._rng.choice(_FILTERS[use.table]).format(use.alias)})"

    def _subquery(self, outer: _Use) -> str:
        """A condition on whether, or how often, the row is found in another join."""
        rng = self._rng
        source, uses, conditions = self._plain_join()
        inner = uses[0]
        where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
        style = rng.random()
        if style < 0.45:
            negated = "NOT " if rng.random() < 0.3 else ""
            return f"{outer.alias}.account_id {negated}IN (SELECT {inner.alias}.account_id FROM {source}{where})"
        link = f"{self._equality(outer, inner)}{' AND ' + ' AND '.join(conditions) if conditions else ''}"
        if style < 0.85:
            negated = "NOT " if rng.random() < 0.3 else ""
            return f"{negated}EXISTS (SELECT 1 FROM {source} WHERE {link})"
        return f"(SELECT count(*) FROM {source} WHERE {link}) > 1"

    def _plain_join(self) -> tuple[str, list[_Use], list[str]]:
        uses = [self._use()]
        source = self._written(uses[0])
        if self._rng.random() < 0.6:
            use = self._use()
            source += f" JOIN {self._written(use)} ON {self._equality(uses[0], use)}"
            uses.append(use)
        return source, uses, [self._filter(use) for use in uses if self._rng.random() < 0.6]

    def _measure(self, use: _Use) -> str:
        return _MEASURES[use.table].format(use.alias)
