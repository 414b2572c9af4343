"""Typed expressions over a scope, made from the productions."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace

from datacanal.testing.grammar.productions import (
    AGGREGATES,
    GENERIC,
    GENERIC_AGGREGATES,
    LITERALS,
    PLAIN_FILTERS,
    PRODUCTIONS,
)
from datacanal.testing.grammar.scope import Draft, Scope
from datacanal.testing.sample import Kind

_HOLE = re.compile(r"<(\w+)>")
_COMPUTED = (Kind.INT, Kind.STR, Kind.DEC, Kind.DBL, Kind.DATE, Kind.BOOL)
_KINDS = tuple(Kind)
_ONCE = {"S": Kind.STR, "I": Kind.INT}
_PARAMS: dict[Kind, tuple[tuple[str, object], ...]] = {
    Kind.INT: (("${}", 7), ("${}::INTEGER", 3), ("${}", -1), ("${}::BIGINT", None)),
    Kind.STR: (("${}", "card"), ("${}", "O'Neil"), ("${}::VARCHAR", None), ("${}", "Žižkov ☃ 1")),
    Kind.BOOL: (("${}", True), ("${}::BOOLEAN", None)),
    Kind.DBL: (("${}", 0.5), ("${}::DOUBLE", 2)),
    Kind.DATE: (("${}::DATE", "2024-01-16"), ("CAST(${} AS DATE)", "1976-03-18")),
    Kind.INTS: (("${}", [1, 2, 3]),),
}

Subquery = Callable[[Kind, Scope, int], str]


class Expressions:
    """Makes expressions; `predicate` and `scalar` make the subqueries inside them."""

    def __init__(self, draft: Draft, predicate: Subquery, scalar: Subquery) -> None:
        self._draft = draft
        self._predicate = predicate
        self._scalar = scalar

    def kind(self, scope: Scope, among: Sequence[Kind] = _KINDS) -> Kind:
        """A kind, mostly one that the scope has values of."""
        present = [ref.kind for ref in scope.refs if ref.kind in among]
        if present and self._draft.chance(0.7):
            return self._draft.rng.choice(present)
        common = [kind for kind in _COMPUTED if kind in among]
        return self._draft.rng.choice(common if common and self._draft.chance(0.7) else list(among))

    def value(self, kind: Kind, scope: Scope, depth: int, *, subqueries: bool = True) -> str:
        """An expression of the kind that nests at most so deep."""
        draft = self._draft
        if depth <= 0 or draft.chance(0.3):
            return self.leaf(kind, scope)
        if subqueries and draft.chance(0.12 if kind is Kind.BOOL else 0.04):
            return (self._predicate if kind is Kind.BOOL else self._scalar)(kind, scope, depth - 1)
        template = draft.rng.choice(GENERIC if draft.chance(0.12) else PRODUCTIONS[kind])
        return self.fill(template, scope, depth - 1, kind=kind, subqueries=subqueries)

    def leaf(self, kind: Kind, scope: Scope) -> str:
        """A column where the scope, or one around it, has one of the kind; else a literal or a parameter."""
        draft = self._draft
        outside = scope.outside(kind)
        if outside and draft.chance(0.25):
            return draft.rng.choice(outside).sql
        refs = scope.of(kind)
        if refs and draft.chance(0.85):
            return draft.rng.choice(refs).sql
        return self.literal(kind)

    def plain_filter(self, scope: Scope) -> str:
        """One column of the scope compared with constants."""
        ref = self._draft.rng.choice(scope.refs)
        return f"({self._draft.rng.choice(PLAIN_FILTERS[ref.kind]).replace('@', ref.sql)})"

    def literal(self, kind: Kind) -> str:
        """A constant of the kind, now and then as a parameter."""
        draft = self._draft
        if draft.allow_params and kind in _PARAMS and draft.chance(0.1):
            text, value = draft.rng.choice(_PARAMS[kind])
            name = draft.name("p")
            draft.params[name] = value
            return text.format(name)
        return draft.rng.choice(LITERALS[kind])

    def fill(self, template: str, scope: Scope, depth: int, *, kind: Kind = Kind.INT, subqueries: bool = True) -> str:
        """The template with an expression in each hole. No subquery can stand inside a lambda."""
        subqueries = subqueries and "lambda" not in template and " FOR " not in template
        any_kind = self.kind(scope)
        once: dict[str, str] = {}

        def hole(match: re.Match[str]) -> str:
            name = match[1]
            if name == "key":
                return ", ".join(scope.key)
            if name in _ONCE:
                if name not in once:
                    once[name] = self._sortable(self.value(_ONCE[name], scope, depth - 1, subqueries=False))
                return once[name]
            wanted = any_kind if name == "K" else kind if name == "k" else Kind(name)
            return self.value(wanted, scope, depth, subqueries=subqueries)

        return _HOLE.sub(hole, template)

    @staticmethod
    def _sortable(text: str) -> str:
        """The text in a form that ORDER BY does not take for a bare constant, which it would refuse."""
        return text if "." in text else f"coalesce({text}, {text})"

    def aggregate(self, kind: Kind, scope: Scope, depth: int, template: str | None = None) -> str:
        """An aggregate of the kind over the scope's rows, some with FILTER."""
        draft = self._draft
        own = AGGREGATES.get(kind, ())
        generic = GENERIC_AGGREGATES if scope.key else GENERIC_AGGREGATES[:2]
        chosen = template or draft.rng.choice(own if own and draft.chance(0.6) else generic)
        inside = replace(scope, outer=None)  # DuckDB refuses an aggregate that mixes its own columns with outer ones
        filter_text = ""
        if draft.chance(0.15):
            filter_text = f" FILTER (WHERE {self.value(Kind.BOOL, inside, depth, subqueries=False)})"
        return self.fill(chosen, inside, depth, kind=kind, subqueries=False).replace("~", filter_text)
