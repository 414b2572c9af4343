"""Whole queries: SELECT in its plain, starred and grouped forms, set operations and common table expressions."""

from __future__ import annotations

from dataclasses import replace

from datacanal.testing.grammar.expressions import Expressions
from datacanal.testing.grammar.relations import MOST_ROWS, Relations
from datacanal.testing.grammar.scope import Draft, NamedQuery, Query, Ref, Scope, Source
from datacanal.testing.grammar.windows import Windows
from datacanal.testing.sample import TABLES, Column, Kind

_GROUPABLE = (Kind.INT, Kind.STR, Kind.DATE, Kind.BOOL, Kind.DEC, Kind.DBL, Kind.GRADE, Kind.UUID, Kind.TSTZ)
_SET_OPERATIONS = ("UNION ALL", "UNION", "INTERSECT", "EXCEPT", "INTERSECT ALL", "EXCEPT ALL")
_SHADOWING = ("amount", "account_id", "name", "score", "note", "born")
_DEPTH = 2

Named = tuple[NamedQuery, ...]


class Queries:
    """Makes queries. One object makes the parts of one statement."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft
        self.expressions = Expressions(draft, self._predicate, self._scalar)
        self.relations = Relations(draft, self.expressions, self.query)
        self.windows = Windows(draft, self.expressions)

    def query(self, depth: int, outer: Scope | None, named: Named, kinds: tuple[Kind, ...] | None = None) -> Query:
        """Any query; with `kinds`, one whose columns are of these kinds."""
        draft = self._draft
        style = draft.rng.random()
        if depth > 0 and style < 0.1:
            return self.set_operation(depth, outer, named, kinds)
        if depth > 0 and style < 0.2:
            return self.with_queries(depth, outer, named, kinds)
        if style < 0.45:
            return self.grouped(depth, outer, named, kinds)
        if style < 0.52 and kinds is None:
            return self.starred(depth, outer, named)
        return self.plain(depth, outer, named, kinds)

    def plain(self, depth: int, outer: Scope | None, named: Named, kinds: tuple[Kind, ...] | None = None) -> Query:
        """SELECT … FROM … [WHERE] [QUALIFY], now and then DISTINCT."""
        draft = self._draft
        source = self.relations.source(depth, named)
        scope = Scope(source.refs, source.key, outer, named)
        wanted = kinds or tuple(self.expressions.kind(scope) for _ in range(draft.rng.randint(1, 4)))
        distinct, tail = self._choosing(scope)
        # Two equal rows may get different values of a window; choosing one of them would then have two answers.
        items = [self._item(kind, scope, depth, windows=not tail) for kind in wanted]
        columns = self._columns(wanted)
        where = self._where(scope, depth, source)
        order, qualify = (tail, "") if distinct else ("", tail)
        sql = f"SELECT {distinct}{_listed(items, columns)} FROM {source.sql}{where}{qualify}{order}"
        return Query(sql, columns, source.rows, ordered=bool(order))

    def starred(self, depth: int, outer: Scope | None, named: Named) -> Query:
        """SELECT with a star and what may follow it."""
        draft = self._draft
        source = self.relations.source(depth, named)
        if source.star is None:
            return self.plain(depth, outer, named)
        scope = Scope(source.refs, source.key, outer, named)
        columns = source.star
        item, columns = self._star(draft.rng.random(), columns, scope)
        return Query(f"SELECT {item} FROM {source.sql}{self._where(scope, depth, source)}", columns, source.rows)

    def grouped(self, depth: int, outer: Scope | None, named: Named, kinds: tuple[Kind, ...] | None = None) -> Query:
        """SELECT with GROUP BY in one of its forms, or one row of aggregates without it."""
        draft = self._draft
        source = self.relations.source(depth, named)
        inside = Scope(source.refs, source.key, outer, named)
        groups = self._groups(inside)
        clause, key = self._group_clause(groups)
        after = Scope((*groups, *self._aggregates(replace(inside, outer=None), kinds)), key)
        wanted = kinds or tuple(ref.kind for ref in draft.some(after.refs, 1, 4))
        items = [self._grouped_item(kind, after) for kind in wanted]
        columns, having = self._columns(wanted), ""
        if (groups or draft.chance(0.3)) and draft.chance(0.3):
            having = f" HAVING {self.expressions.value(Kind.BOOL, after, 2, subqueries=False)}"
        where = self._where(inside, depth, source)
        sql = f"SELECT {_listed(items, columns)} FROM {source.sql}{where}{clause}{having}"
        return Query(sql, columns, source.rows if groups else 1)

    def set_operation(
        self, depth: int, outer: Scope | None, named: Named, kinds: tuple[Kind, ...] | None = None
    ) -> Query:
        """Two or three queries of the same kinds, put together."""
        draft = self._draft
        if kinds is None:
            kinds = tuple(draft.rng.choice(_GROUPABLE[:6]) for _ in range(draft.rng.randint(1, 3)))
        parts = [self.plain(depth - 1, outer, named, kinds) for _ in range(draft.rng.choice((2, 2, 2, 3)))]
        operations = [draft.rng.choice(_SET_OPERATIONS) for _ in parts[1:]]
        sql = f"({parts[0].sql})"
        for operation, part in zip(operations, parts[1:], strict=True):
            sql = f"({sql} {operation} ({part.sql}))" if draft.chance(0.5) else f"{sql} {operation} ({part.sql})"
        # A bracket around everything is no query in all places, so the outermost is a SELECT over it.
        return Query(f"SELECT * FROM ({sql}) AS {draft.name('s')}", parts[0].columns, sum(part.rows for part in parts))

    def with_queries(
        self, depth: int, outer: Scope | None, named: Named, kinds: tuple[Kind, ...] | None = None
    ) -> Query:
        """WITH one or two queries, some materialized, one of them perhaps called like a dataset."""
        draft = self._draft
        parts: list[str] = []
        for _ in range(draft.rng.choice((1, 1, 2))):
            made = self.query(depth - 1, None, named)
            taken = {query.name for query in named}
            shadows = [table.name for table in TABLES if table.name not in taken]
            name = draft.rng.choice(shadows) if shadows and draft.chance(0.12) else draft.name("q")
            how = draft.rng.choice(("", "", "MATERIALIZED ", "NOT MATERIALIZED "))
            parts.append(f"{name} AS {how}({made.sql})")
            named = (*named, NamedQuery(name, made.columns, made.rows))
        body = self.body_over(depth, outer, named, kinds)
        return replace(body, sql=f"WITH {', '.join(parts)} {body.sql}")

    def body_over(self, depth: int, outer: Scope | None, named: Named, kinds: tuple[Kind, ...] | None = None) -> Query:
        """A query that can follow WITH."""
        if self._draft.chance(0.4):
            return self.grouped(depth - 1, outer, named, kinds)
        return self.plain(depth - 1, outer, named, kinds)

    def ordered_by_all(self, query: Query) -> str:
        """ORDER BY over every column: rows that tie then are equal, so a LIMIT after it has one answer."""
        positions = self._draft.rng.sample(range(1, len(query.columns) + 1), len(query.columns))
        return " ORDER BY " + ", ".join(f"{position}{self.windows.direction()}" for position in positions)

    def _item(self, kind: Kind, scope: Scope, depth: int, *, windows: bool) -> str:
        if windows and self._draft.chance(0.1):
            window = self.windows.value(kind, scope)
            if window is not None:
                return window
        return self.expressions.value(kind, scope, min(depth, _DEPTH) + 1)

    def _grouped_item(self, kind: Kind, after: Scope) -> str:
        if self._draft.chance(0.08):
            window = self.windows.value(kind, after)
            if window is not None:
                return window
        ready = after.of(kind)
        if ready and self._draft.chance(0.7):
            return self._draft.rng.choice(ready).sql
        return self.expressions.value(kind, after, 1, subqueries=False)

    def _columns(self, kinds: tuple[Kind, ...]) -> tuple[Column, ...]:
        draft = self._draft
        shadows = draft.some(_SHADOWING, 1, 1) if draft.chance(0.1) else []
        names = [*shadows, *(draft.name("c") for _ in kinds)][: len(kinds)]
        return tuple(Column(name, kind) for name, kind in zip(names, kinds, strict=True))

    def _where(self, scope: Scope, depth: int, source: Source) -> str:
        if source.rows < MOST_ROWS and not self._draft.chance(0.5):
            return ""
        plain = [self.expressions.plain_filter(scope) for _ in range(self._draft.rng.choice((0, 0, 1, 2, 3)))]
        if plain and self._draft.chance(0.6):
            return f" WHERE {' AND '.join(plain)}"
        return f" WHERE {' AND '.join([*plain, self.expressions.value(Kind.BOOL, scope, min(depth, _DEPTH) + 1)])}"

    def _choosing(self, scope: Scope) -> tuple[str, str]:
        """What follows SELECT and what ends the query, where it keeps some rows of many."""
        draft = self._draft
        style = draft.rng.random()
        if style < 0.08:
            return "DISTINCT ", ""
        if style < 0.12 and scope.key:
            chosen = draft.rng.choice(scope.refs).sql
            order = ", ".join((chosen, *(f"{key}{self.windows.direction()}" for key in scope.key)))
            return f"DISTINCT ON ({chosen}) ", f" ORDER BY {order}"
        if style < 0.2:
            return "", f" QUALIFY {self.windows.condition(scope)}"
        return "", ""

    def _star(self, style: float, columns: tuple[Column, ...], scope: Scope) -> tuple[str, tuple[Column, ...]]:
        draft = self._draft
        victim = draft.rng.choice(columns)
        rest = tuple(column for column in columns if column is not victim)
        if style < 0.3 or not rest:
            return "*", columns
        if style < 0.5:
            return f"* EXCLUDE ({victim.name})", rest
        if style < 0.7:
            value = self.expressions.value(victim.kind, scope, 1)
            return f"* REPLACE ({value} AS {victim.name})", columns
        if style < 0.8:
            name = draft.name("n")
            renamed = tuple(Column(name, c.kind) if c is victim else c for c in columns)
            return f"* RENAME ({victim.name} AS {name})", renamed
        if style < 0.9:
            matching = tuple(column for column in columns if "o" in column.name)
            return ("COLUMNS('o')", matching) if matching else ("COLUMNS(*)", columns)
        if any(c.name == "account_id" for c in columns):
            return "COLUMNS(c -> c LIKE '%_id')".replace("c ->", "lambda c:"), tuple(
                column for column in columns if column.name.endswith("_id")
            )
        return "COLUMNS(*)", columns

    def _groups(self, scope: Scope) -> list[Ref]:
        draft = self._draft
        found: dict[str, Ref] = {}
        own = [ref for ref in scope.refs if ref.kind in _GROUPABLE]
        for _ in range(draft.rng.choice((0, 1, 1, 1, 2, 2, 3)) if own else 0):
            ref = draft.rng.choice(own)
            if draft.chance(0.25):
                # An expression over one column and constants: a bare constant would be read as a position.
                narrow = Scope((ref,))
                text = self.expressions.fill("coalesce(<k>, <k>)", narrow, 1, kind=ref.kind, subqueries=False)
                ref = Ref(text, ref.kind) if ref.sql in text and "$" not in text else ref
            found[ref.sql] = ref
        return list(found.values())

    def _aggregates(self, inside: Scope, kinds: tuple[Kind, ...] | None) -> list[Ref]:
        wanted = [*(kinds or ()), *(self.expressions.kind(inside) for _ in range(self._draft.rng.randint(1, 3)))]
        return [Ref(self.expressions.aggregate(kind, inside, 1), kind) for kind in wanted]

    def _group_clause(self, groups: list[Ref]) -> tuple[str, tuple[str, ...]]:
        """The clause, and the key of its rows: grouping sets have none, for a total and a NULL group look alike."""
        texts = tuple(group.sql for group in groups)
        style = self._draft.rng.random()
        if not texts:
            return "", ()
        if style < 0.1:
            return f" GROUP BY ROLLUP ({', '.join(texts)})", ()
        if style < 0.17:
            return f" GROUP BY CUBE ({', '.join(texts)})", ()
        if style < 0.25:
            return f" GROUP BY GROUPING SETS ({', '.join(f'({text})' for text in texts)}, ())", ()
        return f" GROUP BY {', '.join(texts)}", texts

    def _predicate(self, _kind: Kind, scope: Scope, depth: int) -> str:
        draft = self._draft
        style = draft.rng.random()
        if style < 0.35:
            negation = "NOT " if draft.chance(0.3) else ""
            return f"{negation}EXISTS ({self.query(depth, scope, scope.named).sql})"
        kind = self.expressions.kind(scope, _GROUPABLE[:5])
        left = self.expressions.leaf(kind, scope)
        inner = self.query(depth, scope if draft.chance(0.6) else None, scope.named, (kind,)).sql
        if style < 0.75:
            return f"({left} {'NOT ' if draft.chance(0.3) else ''}IN ({inner}))"
        operator = draft.rng.choice(("=", "<", ">=", "<>"))
        return f"({left} {operator} {draft.rng.choice(('ANY', 'ALL'))} ({inner}))"

    def _scalar(self, kind: Kind, scope: Scope, depth: int) -> str:
        draft = self._draft
        outer = scope if draft.chance(0.6) else None
        if draft.chance(0.6):
            source = self.relations.source(depth, scope.named)
            inside = Scope(source.refs, source.key, outer, scope.named)
            value = self.expressions.aggregate(kind, inside, 1)
            return f"(SELECT {value} FROM {source.sql}{self._where(inside, depth, source)})"
        inner = self.plain(depth, outer, scope.named, (kind,))
        if inner.ordered:
            return f"(SELECT max({inner.columns[0].name}) FROM ({inner.sql}) AS {draft.name('m')})"
        return f"({inner.sql}{self.ordered_by_all(inner)} LIMIT 1)"


def _listed(items: list[str], columns: tuple[Column, ...]) -> str:
    return ", ".join(f"{item} AS {column.name}" for item, column in zip(items, columns, strict=True))
