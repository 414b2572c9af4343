"""Window functions with one answer: over a total order, or such as give peers the same."""

from __future__ import annotations

from datacanal.testing.grammar.expressions import Expressions
from datacanal.testing.grammar.scope import Draft, Scope
from datacanal.testing.sample import Kind

_FRAMES = (
    "",
    " ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW",
    " ROWS BETWEEN 2 PRECEDING AND 1 FOLLOWING",
    " ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING",
    " GROUPS BETWEEN 1 PRECEDING AND CURRENT ROW",
    " RANGE BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING",
    " ROWS BETWEEN 3 PRECEDING AND 3 FOLLOWING EXCLUDE CURRENT ROW",
)
_OF_TOTAL_ORDER: dict[Kind, tuple[str, ...]] = {
    Kind.INT: ("row_number()", "ntile(4)", "count(*)", "count(<K>)", "(sum(<int>)~ % 10007)::BIGINT", "rank()"),
    Kind.DBL: ("sum(<dbl>)", "floor(percent_rank()~ * 64)", "floor(cume_dist()~ * 64)"),
    Kind.DEC: ("sum(<dec>)~::DECIMAL(18, 2)",),
    Kind.BOOL: ("bool_or(<bool>)",),
    Kind.STR: ("string_agg(<str>, ',')",),
    Kind.INTS: ("list(<int>)",),
}
_ANY_KIND = ("lag(<k>)", "lead(<k>, 2)", "first_value(<k>)", "last_value(<k>)", "nth_value(<k>, 2)", "min(<k>)")
_FRAMED = ("sum(", "count(", "first_value", "last_value", "nth_value", "min(", "bool_or", "string_agg", "list(")


class Windows:
    """Makes window expressions over a scope that has a key."""

    def __init__(self, draft: Draft, expressions: Expressions) -> None:
        self._draft = draft
        self._expressions = expressions

    def direction(self) -> str:
        """How a sort key may go."""
        return self._draft.rng.choice(("", "", " DESC", " ASC NULLS FIRST", " DESC NULLS LAST"))

    def value(self, kind: Kind, scope: Scope) -> str | None:
        """A window function of the kind, or None where the scope has nothing to order by."""
        if not scope.key:
            return None
        own = _OF_TOTAL_ORDER.get(kind, ())
        template = self._draft.rng.choice((*own, *own, *_ANY_KIND))
        call = self._expressions.fill(template, Scope(scope.refs, scope.key), 1, kind=kind, subqueries=False)
        over = f" OVER ({self._partition(scope)}ORDER BY {self._total_order(scope)}{self._frame(template)})"
        return call.replace("~", over) if "~" in call else f"{call}{over}"

    def condition(self, scope: Scope) -> str:
        """What QUALIFY may ask."""
        if not scope.key:
            return "count(*) OVER () > 3"
        partition, order = self._partition(scope), self._total_order(scope)
        ask = self._draft.rng.choice(("row_number() OVER ({}) = 1", "rank() OVER ({}) <= 2", "ntile(3) OVER ({}) = 2"))
        return ask.format(f"{partition}ORDER BY {order}")

    def _partition(self, scope: Scope) -> str:
        if not self._draft.chance(0.55):
            return ""
        return f"PARTITION BY {self._draft.rng.choice(scope.refs).sql} "

    def _total_order(self, scope: Scope) -> str:
        first = [self._draft.rng.choice(scope.refs).sql] if self._draft.chance(0.5) else []
        return ", ".join(f"{text}{self.direction()}" for text in (*first, *scope.key))

    def _frame(self, template: str) -> str:
        return self._draft.rng.choice(_FRAMES) if template.lstrip("(").startswith(_FRAMED) else ""
