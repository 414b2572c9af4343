"""Random statements over the canary town: what analysts write, and what somebody writes who is after a person."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from tests.policy.canaries.town import PEOPLE, TABLES, key_of, number_of, word_of

_NAMES = tuple(TABLES)
_SUMMING = ("sum", "sum", "avg", "count", "min", "max", "list", "first", "mode", "median", "any_value", "stddev")
_TEXTING = ("max", "min", "count", "list", "string_agg", "first", "mode", "any_value")


def random_statement(rng: Random) -> str:
    """One SELECT. The same state gives the same."""
    return rng.choice(_SHAPES)(_Maker(rng))


class _Maker:
    """Parts of statements; `tables` are alias to full name."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng

    def source(self) -> tuple[str, dict[str, str]]:
        """A FROM clause and its tables."""
        rng = self.rng
        first = rng.choice(_NAMES)
        tables = {"a": first}
        sql = f"{first} AS a"
        for alias in ("b", "c")[: rng.choice((0, 1, 1, 2))]:
            name = rng.choice(_NAMES)
            kind = rng.choice(("JOIN", "JOIN", "JOIN", "LEFT JOIN", "FULL JOIN", "SEMI JOIN", "CROSS JOIN"))
            condition = "" if kind == "CROSS JOIN" else f" ON {self.joined(alias, tables)}"
            sql += f" {kind} {name} AS {alias}{condition}"
            if kind != "SEMI JOIN":
                tables[alias] = name
        return sql, tables

    def joined(self, alias: str, tables: dict[str, str]) -> str:
        rng = self.rng
        other = rng.choice(list(tables))
        condition = f"{alias}.account_id = {other}.account_id"
        if rng.random() < 0.12:
            condition = rng.choice(
                (
                    f"{alias}.account_id + 0 = {other}.account_id",
                    f"{alias}.account_id <= {other}.account_id",
                    f"{alias}.account_id = {key_of(rng.randrange(PEOPLE))}",
                    f"hash({alias}.account_id) = hash({other}.account_id)",
                    f"{condition} AND error('x') IS NULL",
                )
            )
        return condition

    def column(self, tables: dict[str, str], *kinds: str) -> str:
        """A column of one of those kinds, or any."""
        found = [
            f"{alias}.{column.name}"
            for alias, name in tables.items()
            for column in TABLES[name]
            if not kinds or column.kind in kinds
        ]
        return self.rng.choice(found or ["1"])

    def kind(self, column: str, tables: dict[str, str]) -> str:
        alias, _, name = column.partition(".")
        return next((each.kind for each in TABLES.get(tables.get(alias, ""), ()) if each.name == name), "int")

    def value(self, tables: dict[str, str]) -> str:
        """An expression over a column."""
        column = self.column(tables)
        if self.rng.random() < 0.6:
            return column
        return self.rng.choice(
            (
                f"CAST({column} AS VARCHAR)",
                f"md5(CAST({column} AS VARCHAR))",
                f"sha256(CAST({column} AS VARCHAR))",
                f"reverse(CAST({column} AS VARCHAR))",
                f"substr(CAST({column} AS VARCHAR), 2)",
                f"CASE WHEN {column} IS NULL THEN 'none' ELSE CAST({column} AS VARCHAR) END",
                f"[{column}]",
                f"{{'x': {column}}}",
                f"coalesce({column}, NULL)",
                f"concat({column}, '!')",
                f"hash({column})",
                f"length(CAST({column} AS VARCHAR))",
            )
        )

    def predicate(self, tables: dict[str, str]) -> str:
        rng = self.rng
        if rng.random() < 0.6:
            return self.harmless(tables)
        person = rng.randrange(PEOPLE)
        number = self.column(tables, "sum", "int")
        text = self.column(tables, "text")
        key = self.column(tables, "key")
        return rng.choice(
            (
                f"{key} = {key_of(person)}",
                f"{key} IN ({key_of(person)}, {key_of((person + 1) % PEOPLE)})",
                f"{key} BETWEEN {key_of(person)} AND {key_of(person) + 1}",
                f"{text} = '{word_of(person, rng.choice(('name', 'memo')))}'",
                f"{text} LIKE '%-{person:02d}-%'",
                f"{number} > {number_of(person, 'income')}",
                f"CAST({text} AS INTEGER) > 0",
                f"CAST({text} AS DATE) IS NOT NULL",
                f"(SELECT count(*) FROM users.people z WHERE z.account_id = {key}) > 0",
                f"EXISTS (SELECT 1 FROM transactions.accounts z WHERE z.account_id = {key})",
                f"{key} IN (SELECT account_id FROM {rng.choice(_NAMES)})",
                f"{number} = (SELECT max(income) FROM users.people)",
                f"1 / ({number} - {number_of(person, 'amount')}) > 0",
                f"NOT {self.harmless(tables)}",
            )
        )

    def harmless(self, tables: dict[str, str]) -> str:
        """What an honest analyst filters by; one value of it belongs to one person only."""
        alias = self.rng.choice(list(tables))
        by_table = {
            "transactions.payments": ("@.kind = 'card'", "@.day < DATE '2024-01-09'", "@.kind <> 'wire'"),
            "transactions.accounts": ("@.branch = 'north'", "@.closed", "@.closed IS NULL", "NOT @.closed"),
            "users.people": ("@.city <> 'Tábor'", "@.city = 'Brno'", "NOT @.hidden", "@.born > DATE '1970-01-01'"),
        }
        return str(self.rng.choice(by_table[tables[alias]])).replace("@", alias)

    def group(self, tables: dict[str, str]) -> str:
        alias = self.rng.choice(list(tables))
        by_table = {
            "transactions.payments": ("kind", "kind", "day", "memo"),
            "transactions.accounts": ("branch", "branch", "closed"),
            "users.people": ("city", "city", "hidden", "name", "born"),
        }
        return f"{alias}.{self.rng.choice(by_table[tables[alias]])}"

    def aggregate(self, tables: dict[str, str]) -> str:
        rng = self.rng
        if rng.random() < 0.2:
            return "count(*)"
        column = self.column(tables, "sum") if rng.random() < 0.75 else self.column(tables)
        names = _SUMMING if self.kind(column, tables) == "sum" else _TEXTING
        plain = f"{rng.choice(names[:4]) if rng.random() < 0.7 else rng.choice(names)}({column})"
        if rng.random() < 0.85:
            return plain
        return rng.choice(
            (
                f"{plain} FILTER (WHERE {self.predicate(tables)})",
                f"sum(CASE WHEN {self.predicate(tables)} THEN {column} END)",
                f"sum(DISTINCT {column})",
                f"sum({column} * 1)",
                f"max_by({self.column(tables)}, {column})",
            )
        )

    def where(self, tables: dict[str, str]) -> str:
        parts = [self.predicate(tables) for _ in range(self.rng.choice((0, 0, 1, 1, 2)))]
        return f" WHERE {' AND '.join(parts)}" if parts else ""

    def grouped(self) -> str:
        rng = self.rng
        sql, tables = self.source()
        keys = [self.group(tables) for _ in range(rng.choice((0, 1, 1, 1, 2)))]
        items = [f"{key} AS g{number}" for number, key in enumerate(keys)]
        items += [f"{self.aggregate(tables)} AS v{number}" for number in range(rng.choice((1, 1, 2, 3)))]
        by = ""
        if keys:
            by = f" GROUP BY {rng.choice(('ALL', ', '.join(keys), ', '.join(keys), self.rolled(keys)))}"
        having = (
            f" HAVING {rng.choice(('count(*) > 1', 'count(*) = 1', 'true'))}" if keys and rng.random() < 0.2 else ""
        )
        return f"SELECT {', '.join(items)} FROM {sql}{self.where(tables)}{by}{having}"

    def rolled(self, keys: list[str]) -> str:
        return f"ROLLUP ({', '.join(keys)})" if self.rng.random() < 0.3 else ", ".join(keys)

    def plain(self) -> str:
        rng = self.rng
        sql, tables = self.source()
        items = [self.value(tables) for _ in range(rng.choice((1, 2, 3)))]
        star = rng.choice(("*", "COLUMNS(*)", "a", "a.*")) if rng.random() < 0.1 else ""
        order = f" ORDER BY {self.column(tables)}" if rng.random() < 0.3 else ""
        limit = " LIMIT 3" if rng.random() < 0.3 else ""
        distinct = "DISTINCT " if rng.random() < 0.15 else ""
        return f"SELECT {distinct}{star or ', '.join(items)} FROM {sql}{self.where(tables)}{order}{limit}"


def _ordered(maker: _Maker) -> str:
    return f"SELECT * FROM ({maker.grouped()}) ORDER BY ALL LIMIT {maker.rng.randint(1, 9)}"


def _difference(maker: _Maker) -> str:
    column = maker.rng.choice(("amount FROM transactions.payments", "income FROM users.people"))
    name, _, table = column.partition(" FROM ")
    alias = {"a": table}
    function = maker.rng.choice(("sum", "sum", "count", "avg"))
    left = f"(SELECT {function}({name}) FROM {table} AS a)"
    right = f"(SELECT {function}({name}) FROM {table} AS a WHERE {maker.predicate(alias)})"
    return f"SELECT {left} - {right} AS d" if maker.rng.random() < 0.5 else f"SELECT {left} AS x, {right} AS y"


def _united(maker: _Maker) -> str:
    kind = maker.rng.choice(("UNION ALL", "UNION", "EXCEPT", "INTERSECT"))
    column = maker.rng.choice(("memo", "CAST(amount AS VARCHAR)", "kind"))
    other = maker.rng.choice(("name", "city", "CAST(income AS VARCHAR)"))
    return f"SELECT {column} FROM transactions.payments {kind} SELECT {other} FROM users.people"


def _named(maker: _Maker) -> str:
    return f"WITH w AS ({maker.grouped()}) SELECT * FROM w" + maker.rng.choice(("", " CROSS JOIN w AS v", " LIMIT 2"))


def _window(maker: _Maker) -> str:
    sql, tables = maker.source()
    over = f"PARTITION BY {maker.group(tables)}" if maker.rng.random() < 0.5 else f"ORDER BY {maker.column(tables)}"
    return f"SELECT {maker.group(tables)}, {maker.aggregate(tables)} OVER ({over}) FROM {sql}"


def _scalar(maker: _Maker) -> str:
    sql, tables = maker.source()
    inner = maker.value({"z": "users.people"})
    return f"SELECT {maker.group(tables)}, (SELECT {inner} FROM users.people z LIMIT 1) FROM {sql}"


def _recursive(maker: _Maker) -> str:
    start = key_of(maker.rng.randrange(PEOPLE))
    column = maker.rng.choice(("amount", "memo", "kind", "account_id"))
    return (
        f"WITH RECURSIVE r(k) AS (SELECT {start} UNION ALL SELECT k + 977 FROM r WHERE k < {start} + 3000) "
        f"SELECT k, {column} FROM r JOIN transactions.payments p ON p.account_id = k"
    )


def _pivot(maker: _Maker) -> str:
    value = maker.rng.choice(("sum(amount)", "max(memo)", "count(*)"))
    return f"PIVOT transactions.payments ON kind IN ('card', 'cash') USING {value} GROUP BY day"


_SHAPES: tuple[Callable[[_Maker], str], ...] = (
    *(_Maker.grouped,) * 10,
    *(_Maker.plain,) * 6,
    _ordered,
    _ordered,
    _difference,
    _difference,
    _united,
    _named,
    _named,
    _window,
    _scalar,
    _recursive,
    _pivot,
)
