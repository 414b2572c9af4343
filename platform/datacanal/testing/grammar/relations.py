"""What can stand in FROM: tables, subqueries, VALUES, unnested lists, pivots, and joins of every kind of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from datacanal.testing.grammar.expressions import Expressions
from datacanal.testing.grammar.scope import Draft, NamedQuery, Query, Ref, Scope, Source
from datacanal.testing.sample import GRADE_TYPE, TABLES, Column, Kind, SampleTable

MOST_ROWS = 6_000
_OFTEN = tuple(table for table in TABLES for _ in range(4 if table.rows else 1))
_JOINABLE = (Kind.INT, Kind.STR, Kind.DATE, Kind.BOOL, Kind.DEC, Kind.DBL, Kind.UUID)
_OUTER = ("JOIN", "INNER JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL OUTER JOIN")
_FILTERING = ("SEMI JOIN", "ANTI JOIN")

MakeQuery = Callable[[int, Scope | None, tuple[NamedQuery, ...]], Query]


class Relations:
    """Makes items of FROM; `query` makes the queries inside them."""

    def __init__(self, draft: Draft, expressions: Expressions, query: MakeQuery) -> None:
        self._draft = draft
        self._expressions = expressions
        self._query = query

    def source(self, depth: int, named: tuple[NamedQuery, ...]) -> Source:
        """One relation, or a join of two or three."""
        found = self.single(depth, named)
        for _ in range(self._draft.rng.choice((0, 1, 1, 1, 2))):
            if not found.ends:
                found = self._joined(found, depth, named)
        return found

    def single(self, depth: int, named: tuple[NamedQuery, ...]) -> Source:
        """One relation without a join."""
        draft = self._draft
        if named and draft.chance(0.45):
            return self._named(draft.rng.choice(named))
        if depth > 0 and draft.chance(0.2):
            return self._derived(self._query(depth - 1, None, named))
        if draft.chance(0.08):
            return self._values()
        if draft.chance(0.05):
            return self._pivoted()
        return self._table(draft.rng.choice(_OFTEN), named)

    def _table(self, table: SampleTable, named: tuple[NamedQuery, ...]) -> Source:
        draft = self._draft
        hidden = any(query.name == table.name for query in named)
        written = f"{table.lake}.{table.name}" if hidden or draft.chance(0.75) else table.name
        style = draft.rng.random()
        if style < 0.15:
            qualifier = table.name
            sql = written
        else:
            # An alias that is another table's name must not lead anybody to that table.
            qualifier = draft.rng.choice(TABLES).name if style < 0.25 else draft.name("t")
            sql = f"{written} AS {qualifier}"
        prefix = f"{table.lake}.{table.name}" if style < 0.04 and "." in written else qualifier
        refs = tuple(
            Ref(_graded(column, f"{prefix}.{column.name}"), column.kind, qualifier) for column in table.columns
        )
        texts = tuple(Ref(f"{prefix}.{c.name}", Kind.STR, qualifier) for c in table.columns if c.kind is Kind.GRADE)
        key = tuple(f"{prefix}.{name}" for name in table.key)
        star = tuple(replace(c, kind=Kind.STR) if c.kind is Kind.GRADE else c for c in table.columns)
        return Source(sql, refs + texts, key, table.rows, frozenset({qualifier}), star)

    def _named(self, query: NamedQuery) -> Source:
        alias = query.name if self._draft.chance(0.5) else self._draft.name("t")
        sql = query.name if alias == query.name else f"{query.name} AS {alias}"
        return _over(sql, alias, query.columns, query.rows)

    def _derived(self, query: Query) -> Source:
        alias = self._draft.name("d")
        if self._draft.chance(0.25):
            columns = tuple(Column(self._draft.name("r"), column.kind) for column in query.columns)
            return _over(f"({query.sql}) AS {alias}({_names(columns)})", alias, columns, query.rows)
        return _over(f"({query.sql}) AS {alias}", alias, query.columns, query.rows)

    def _values(self) -> Source:
        draft = self._draft
        columns = tuple(Column(draft.name("v"), kind) for kind in draft.some(_JOINABLE, 1, 3))
        rows = draft.rng.randint(1, 4)
        lines = (", ".join(self._expressions.literal(column.kind) for column in columns) for _ in range(rows))
        alias = draft.name("w")
        body = ", ".join(f"({line})" for line in lines)
        return _over(f"(VALUES {body}) AS {alias}({_names(columns)})", alias, columns, rows)

    def _pivoted(self) -> Source:
        draft = self._draft
        alias = draft.name("x")
        text, columns, rows = draft.rng.choice(_PIVOTS)
        return _over(f"({text}) AS {alias}", alias, columns, rows)

    def _joined(self, left: Source, depth: int, named: tuple[NamedQuery, ...]) -> Source:
        draft = self._draft
        if draft.chance(0.12):
            return self._unnested(left) or left
        if depth > 0 and draft.chance(0.12):
            return self._lateral(left, depth, named)
        right = self.single(depth - 1, named)
        if right.names & left.names or left.rows * right.rows > MOST_ROWS * 10:
            return left
        style = draft.rng.random()
        if style < 0.12:
            return self._using(left, right) or self._on(left, right)
        if style < 0.2:
            return self._asof(left, right) or self._on(left, right)
        if style < 0.3 and left.rows * right.rows <= MOST_ROWS:
            return _product(left, right, draft.rng.choice((" CROSS JOIN ", ", ")))
        return self._on(left, right)

    def _on(self, left: Source, right: Source) -> Source:
        draft = self._draft
        condition = self._equality(left, right)
        if draft.chance(0.3):
            # A correlated condition binds in inner joins only, so the scope here has nothing around it.
            both = Scope(left.refs + right.refs)
            extra = self._expressions.value(Kind.BOOL, both, 1, subqueries=False)
            condition = f"{condition} {draft.rng.choice(('AND', 'AND', 'OR'))} {extra}"
        if draft.chance(0.2):
            kind = draft.rng.choice(_FILTERING)
            return replace(left, sql=f"{left.sql} {kind} {right.sql} ON {condition}")
        return _product(left, right, f" {draft.rng.choice(_OUTER)} ", f" ON {condition}", equated=True)

    def _equality(self, left: Source, right: Source) -> str:
        draft = self._draft
        kinds = [kind for kind in _JOINABLE if Scope(left.refs).of(kind) and Scope(right.refs).of(kind)]
        if not kinds:
            return self._expressions.value(Kind.BOOL, Scope(left.refs + right.refs), 1, subqueries=False)
        kind = Kind.INT if Kind.INT in kinds and draft.chance(0.6) else draft.rng.choice(kinds)
        sides = [self._side(kind, side) for side in draft.rng.sample((left, right), 2)]
        operator = draft.rng.choice(("=", "=", "=", "=", "IS NOT DISTINCT FROM", "<", ">="))
        return f"({sides[0]} {operator} {sides[1]})"

    def _side(self, kind: Kind, source: Source) -> str:
        shared = [ref.sql for ref in source.refs if ref.sql.endswith(".account_id")]
        if kind is Kind.INT and shared and self._draft.chance(0.7):
            return shared[0]
        depth = 1 if self._draft.chance(0.15) else 0
        if depth:
            return self._expressions.value(kind, Scope(source.refs), depth, subqueries=False)
        return self._draft.rng.choice(Scope(source.refs).of(kind)).sql

    def _using(self, left: Source, right: Source) -> Source | None:
        """USING and NATURAL: the shared column has no table's name any more."""
        if left.star is None or right.star is None:
            return None
        theirs = {column.name: column for column in right.star}
        shared = [column for column in left.star if column.name in theirs]
        if not shared or any(theirs[column.name].kind is not column.kind for column in shared):
            return None
        names = {column.name for column in shared}
        join = self._draft.rng.choice(("JOIN", "LEFT JOIN", "FULL JOIN", "RIGHT JOIN"))
        natural, using = f"NATURAL {join} {right.sql}", f"{join} {right.sql} USING ({', '.join(sorted(names))})"
        sql = f"{left.sql} {natural if self._draft.chance(0.3) else using}"
        star = (*left.star, *(column for column in right.star if column.name not in names))
        merged = tuple(Ref(column.name, column.kind) for column in shared)
        rest = tuple(ref for ref in left.refs + right.refs if ref.sql.rpartition(".")[2] not in names)
        key = (*left.key, *right.key)
        return Source(sql, merged + rest, key, min(left.rows * right.rows, MOST_ROWS), left.names | right.names, star)

    def _asof(self, left: Source, right: Source) -> Source | None:
        """An ASOF join whose inequality is on a unique column, so that no two rows are equally near."""
        unique = [f"{name}.{column}" for name in right.names for column in ("payment_id", "person_id")]
        found = next((ref.sql for ref in right.refs if ref.sql in unique and right.key == (ref.sql,)), None)
        ours = Scope(left.refs).of(Kind.INT)
        if found is None or not ours:
            return None
        kind = self._draft.rng.choice((" ASOF JOIN ", " ASOF LEFT JOIN "))
        condition = f" ON {self._draft.rng.choice(ours).sql} >= {found}"
        return replace(_product(left, right, kind, condition), rows=left.rows)

    def _unnested(self, left: Source) -> Source | None:
        draft = self._draft
        lists = [ref for ref in left.refs if ref.kind in (Kind.INTS, Kind.STRS)]
        if not lists:
            return None
        chosen = draft.rng.choice(lists)
        kind = Kind.INT if chosen.kind is Kind.INTS else Kind.STR
        alias, name = draft.name("u"), draft.name("e")
        right = _over(f"unnest({chosen.sql}) AS {alias}({name})", alias, (Column(name, kind),), 2)
        return _product(left, right, draft.rng.choice((", ", " CROSS JOIN ")))

    def _lateral(self, left: Source, depth: int, named: tuple[NamedQuery, ...]) -> Source:
        query = self._query(depth - 1, Scope(left.refs, left.key), named)
        alias = self._draft.name("l")
        right = _over(f"LATERAL ({query.sql}) AS {alias}", alias, query.columns, query.rows)
        if left.rows * right.rows > MOST_ROWS:
            return left
        link = self._draft.rng.choice(((", ", ""), (" CROSS JOIN ", ""), (" LEFT JOIN ", " ON true")))
        return _product(left, right, *link)


def _graded(column: Column, text: str) -> str:
    return f"CAST({text} AS {GRADE_TYPE})" if column.kind is Kind.GRADE else text


def _names(columns: tuple[Column, ...]) -> str:
    return ", ".join(column.name for column in columns)


def _over(sql: str, alias: str, columns: tuple[Column, ...], rows: int) -> Source:
    """A relation whose columns are known by their alias; without a better key its whole row is the key."""
    refs = tuple(Ref(f"{alias}.{column.name}", column.kind, alias) for column in columns)
    return Source(sql, refs, tuple(ref.sql for ref in refs), rows, frozenset({alias}), columns)


def _product(left: Source, right: Source, link: str, condition: str = "", *, equated: bool = False) -> Source:
    rows = left.rows * right.rows
    star = None
    if left.star is not None and right.star is not None:
        star = (*left.star, *right.star)
        if len({column.name for column in star}) < len(star):
            star = None
    return Source(
        sql=f"{left.sql}{link}{right.sql}{condition}",
        refs=left.refs + right.refs,
        key=left.key + right.key,
        rows=min(max(left.rows, right.rows, rows // 12), MOST_ROWS) if equated else min(rows, MOST_ROWS),
        names=left.names | right.names,
        star=star,
        ends=link.startswith(","),
    )


_PIVOTS: tuple[tuple[str, tuple[Column, ...], int], ...] = (
    (
        "SELECT * FROM (SELECT account_id, channel, amount FROM transactions.payments) "
        "PIVOT (sum(amount) AS total, count(*) AS times FOR channel IN ('card', 'cash') GROUP BY account_id)",
        (
            Column("account_id", Kind.INT),
            Column("card_total", Kind.DEC),
            Column("card_times", Kind.INT),
            Column("cash_total", Kind.DEC),
            Column("cash_times", Kind.INT),
        ),
        14,
    ),
    (
        "PIVOT users.people ON grade IN ('low', 'mid', 'high') USING max(born) GROUP BY account_id, active",
        (
            Column("account_id", Kind.INT),
            Column("active", Kind.BOOL),
            Column("low", Kind.DATE),
            Column("mid", Kind.DATE),
            Column("high", Kind.DATE),
        ),
        25,
    ),
    (
        "SELECT * FROM (SELECT payment_id, memo, channel FROM transactions.payments) "
        "UNPIVOT INCLUDE NULLS (text FOR origin IN (memo, channel))",
        (Column("payment_id", Kind.INT), Column("origin", Kind.STR), Column("text", Kind.STR)),
        120,
    ),
    (
        "UNPIVOT (SELECT person_id, account_id, parent_id FROM users.people) ON account_id, parent_id "
        "INTO NAME origin VALUE number",
        (Column("person_id", Kind.INT), Column("origin", Kind.STR), Column("number", Kind.INT)),
        50,
    ),
)
"""Pivots name their values: without them the result's columns would depend on data that planning does not see."""
