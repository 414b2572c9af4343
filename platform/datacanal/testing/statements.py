"""Random statements with one answer each: what plans are tested with, against one DuckDB over all the data.

They are made from a grammar over the sample tables and are deterministic by construction: LIMIT stands behind a total
order, windows too, sums are of exact terms, and what can fail does so on all rows that a statement could touch.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from random import Random

from datacanal.testing.grammar.productions import FAILING, FINAL_AGGREGATES, FINALS
from datacanal.testing.grammar.queries import Queries
from datacanal.testing.grammar.scope import Draft, NamedQuery, Query, Scope
from datacanal.testing.sample import Column, Kind

_DEPTHS = (0, 1, 1, 2, 2, 3)


@dataclass(frozen=True)
class Statement:
    """A statement, its parameters, and the result's columns that its ORDER BY sorts by (for the comparator)."""

    sql: str
    params: dict[str, object]
    ordered_by: tuple[int, ...] = ()


def statement_of(seed: int) -> Statement:
    """The statement of a seed: the same one every time."""
    return random_statement(Random(seed))


def random_statement(rng: Random) -> Statement:
    """One SELECT over the sample tables."""
    draft = Draft(rng)
    maker = _Maker(draft)
    ordered_by: tuple[int, ...] = ()
    style = rng.random()
    if style < 0.1:
        sql = maker.finals()
    elif style < 0.13:
        sql = maker.failing()
    elif style < 0.18:
        sql = maker.late()
    elif style < 0.23:
        sql, ordered_by = maker.recursive()
    else:
        sql, ordered_by = maker.ordered(maker.queries.query(rng.choice(_DEPTHS), None, ()))
    given = set(re.findall(r"\$(\w+)", sql))
    return Statement(sql, {name: value for name, value in draft.params.items() if name in given}, ordered_by)


class _Maker:
    def __init__(self, draft: Draft) -> None:
        self._draft = draft
        self.queries = Queries(draft)

    def ordered(self, query: Query) -> tuple[str, tuple[int, ...]]:
        """The query as a statement, with or without an order and a limit."""
        rng = self._draft.rng
        if query.ordered or rng.random() < 0.4:
            return query.sql, ()
        if rng.random() < 0.5:
            positions = self._draft.some(range(len(query.columns)), 1, 3)
            keys = ", ".join(f"{position + 1}{self.queries.windows.direction()}" for position in positions)
            return f"{query.sql} ORDER BY {keys}", tuple(positions)
        limit = rng.choice(("", " LIMIT 5", " LIMIT 3 OFFSET 2", " LIMIT 40%", " LIMIT (SELECT 4)", " LIMIT 0"))
        everything = tuple(range(len(query.columns)))
        order = " ORDER BY ALL" if rng.random() < 0.3 else self.queries.ordered_by_all(query)
        return f"{query.sql}{order}{limit}", everything

    def finals(self) -> str:
        """Values and aggregates of types that nothing computes with, and inexact ones."""
        draft, queries = self._draft, self.queries
        source = queries.relations.source(1, ())
        scope = Scope(source.refs, source.key)
        if draft.chance(0.5):
            templates = draft.some(FINAL_AGGREGATES, 1, 3)
            group = draft.rng.choice([ref for ref in source.refs if ref.kind is not Kind.JSON]).sql
            items = [queries.expressions.aggregate(Kind.INT, scope, 1, template) for template in templates]
            return f"SELECT {group} AS g, {', '.join(items)} FROM {source.sql} GROUP BY {group}"
        items = [queries.expressions.fill(template, scope, 1) for template in draft.some(FINALS, 1, 4)]
        return f"SELECT {', '.join(items)} FROM {source.sql}"

    def failing(self) -> str:
        """A cast that some rows of the one table cannot pass, over all its rows."""
        queries = self.queries
        self._draft.allow_params = False
        source = queries.relations.single(0, ())
        scope = Scope(source.refs, source.key)
        item = queries.expressions.fill(self._draft.rng.choice(FAILING), scope, 0, subqueries=False)
        return f"SELECT {item} AS c, {', '.join(scope.key)} FROM {source.sql}"

    def late(self) -> str:
        """Ordered and limited by what is not in the result."""
        draft, queries = self._draft, self.queries
        source = queries.relations.source(1, ())
        scope = Scope(source.refs, source.key)
        items = [queries.expressions.value(queries.expressions.kind(scope), scope, 2) for _ in range(3)]
        keys = ", ".join(f"{key}{queries.windows.direction()}" for key in draft.some(scope.key, 99, 99))
        return f"SELECT {', '.join(items)} FROM {source.sql} ORDER BY {keys} LIMIT {draft.rng.randint(1, 9)}"

    def recursive(self) -> tuple[str, tuple[int, ...]]:
        """A bounded recursion and a query over it."""
        name = self._draft.name("r")
        text, columns, rows = self._draft.rng.choice(_RECURSIONS)
        body = self.queries.body_over(1, None, (NamedQuery(name, columns, rows),))
        sql = f"WITH RECURSIVE {text.replace('@', name)} {body.sql}"
        return self.ordered(Query(sql, body.columns, body.rows, body.ordered))


_RECURSIONS: tuple[tuple[str, tuple[Column, ...], int], ...] = (
    (
        "@(n, x) AS (SELECT 1, min(account_id) FROM transactions.payments UNION ALL "
        "SELECT n + 1, x + n FROM @ WHERE n < 6)",
        (Column("n", Kind.INT), Column("x", Kind.INT)),
        6,
    ),
    (
        "@(id, depth, path) AS (SELECT person_id, 0, name FROM users.people WHERE parent_id IS NULL UNION ALL "
        "SELECT p.person_id, depth + 1, concat(path, '/', p.name) FROM users.people AS p JOIN @ ON p.parent_id = @.id "
        "WHERE depth < 5)",
        (Column("id", Kind.INT), Column("depth", Kind.INT), Column("path", Kind.STR)),
        30,
    ),
    (
        "@(a) AS (SELECT account_id FROM users.people WHERE person_id = 5 UNION "
        "SELECT (p.account_id * 5 + 1) % 13 FROM @ JOIN transactions.payments AS p ON p.account_id = @.a)",
        (Column("a", Kind.INT),),
        10,
    ),
    (
        "@(k, best) USING KEY (k) AS (SELECT account_id, max(n) FROM readings GROUP BY account_id UNION "
        "SELECT k, best + 1 FROM @ WHERE best < 5)",
        (Column("k", Kind.INT), Column("best", Kind.INT)),
        14,
    ),
)
