"""What a statement under construction can refer to, and what its parts look like from outside."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import count
from random import Random
from typing import TypeVar

from datacanal.testing.sample import Column, Kind

T = TypeVar("T")


@dataclass(frozen=True)
class Ref:
    """SQL text that stands for one value in a scope. `qualifier` is the table name or alias that it begins with."""

    sql: str
    kind: Kind
    qualifier: str = ""


@dataclass(frozen=True)
class Scope:
    """The values at hand, those of the query around, and the common table expressions that a subquery may use.

    Rows that agree on all of `key` are equal.
    """

    refs: tuple[Ref, ...] = ()
    key: tuple[str, ...] = ()
    outer: Scope | None = None
    named: tuple[NamedQuery, ...] = ()

    def of(self, kind: Kind) -> list[Ref]:
        """The scope's own values of a kind."""
        return [ref for ref in self.refs if ref.kind is kind]

    def outside(self, kind: Kind) -> list[Ref]:
        """Values of a kind from the queries around that no name in here hides."""
        hidden = {ref.qualifier for ref in self.refs}
        found: list[Ref] = []
        around = self.outer
        while around is not None:
            found += [ref for ref in around.of(kind) if ref.qualifier and ref.qualifier not in hidden]
            hidden |= {ref.qualifier for ref in around.refs}
            around = around.outer
        return found


@dataclass(frozen=True)
class Source:
    """An item of FROM. `star` holds the columns of its `*` where their names are all different.

    Nothing can be joined to one that `ends`, for a comma binds weaker than JOIN.
    """

    sql: str
    refs: tuple[Ref, ...]
    key: tuple[str, ...]
    rows: int
    names: frozenset[str]
    star: tuple[Column, ...] | None = None
    ends: bool = False


@dataclass(frozen=True)
class Query:
    """A whole query, without brackets; `rows` is a guess that keeps products of relations small.

    `ordered` says that it ends in an ORDER BY already.
    """

    sql: str
    columns: tuple[Column, ...]
    rows: int
    ordered: bool = False


@dataclass(frozen=True)
class NamedQuery:
    """A common table expression that is at hand."""

    name: str
    columns: tuple[Column, ...]
    rows: int


@dataclass
class Draft:
    """The state of one statement's making: its randomness, fresh names and the parameters given so far."""

    rng: Random
    params: dict[str, object] = field(default_factory=dict)
    allow_params: bool = True
    _numbers: count[int] = field(default_factory=lambda: count(1))

    def name(self, prefix: str) -> str:
        """A name that the statement does not have yet."""
        return f"{prefix}{next(self._numbers)}"

    def chance(self, probability: float) -> bool:
        """True so often."""
        return self.rng.random() < probability

    def some(self, items: Iterable[T], low: int, high: int) -> list[T]:
        """Between `low` and `high` different ones of the items, in any order."""
        pool = list(items)
        return self.rng.sample(pool, min(len(pool), self.rng.randint(low, high)))
