"""What is known of the rows of a relation in a bound plan while join groups are read (see `join_groups`)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from datacanal.planning.harmless import is_harmless
from datacanal.planning.tree_walk import objects

_Node = dict[str, Any]


@dataclass(frozen=True, order=True)
class Column:
    """A column of an occurrence, by its position in the dataset."""

    occurrence: str
    position: int


@dataclass(frozen=True)
class Value:
    """A column of a relation in the plan.

    `sources` are the occurrences that a condition on it may be moved down to. Nothing is moved below where a `stuck`
    value is made. `raises` says that computing it may raise.
    """

    base: Column | None = None
    sources: frozenset[str] = frozenset()
    raises: bool = False
    stuck: bool = False
    mark: Mark | None = None


OPAQUE = Value(stuck=True)


@dataclass(eq=False)
class Group:
    """A join group while it grows.

    `alike` are pairs that are equal or both NULL, `present` columns that are not NULL; DuckDB writes a correlated
    EXISTS so. `marks` are those whose MARK join is in the group.
    """

    members: set[str] = field(default_factory=set)
    equalities: list[tuple[Column, Column]] = field(default_factory=list)
    alike: list[tuple[Column, Column]] = field(default_factory=list)
    present: set[Column] = field(default_factory=set)
    marks: list[Mark] = field(default_factory=list)
    forbidden: bool = False

    def absorb(self, other: Group) -> None:
        self.members |= other.members
        self.equalities += other.equalities
        self.alike += other.alike
        self.present |= other.present
        self.marks += other.marks
        self.forbidden |= other.forbidden

    def require_pair(self, kind: str, left: Column | None, right: Column | None) -> None:
        """Every row fulfils the comparison of two columns; of columns that are not its members' it knows nothing."""
        if left is None or right is None or not {left.occurrence, right.occurrence} <= self.members:
            return
        if kind == "COMPARE_EQUAL":
            self.equalities.append((left, right))
        elif kind == "COMPARE_NOT_DISTINCT_FROM":
            self.alike.append((left, right))

    def pairs(self) -> Iterator[tuple[Column, Column]]:
        """The equalities between columns of two occurrences."""
        surely = [pair for pair in self.alike if self.present.intersection(pair)]
        for left, right in (*self.equalities, *surely):
            if left.occurrence != right.occurrence:
                yield left, right


Comparison = tuple[str, "Value", "Value"]


@dataclass(eq=False)
class Mark:
    """What a MARK join found: the group of its right side, which joins in once a filter asks for matches only."""

    group: Group
    comparisons: list[Comparison]


@dataclass(frozen=True)
class Relation:
    """What an operator gives. `values` is `None` where its columns are not understood; `below` are all occurrences."""

    values: tuple[Value, ...] | None
    group: Group
    below: frozenset[str]

    def value(self, position: int) -> Value:
        if self.values is None or position >= len(self.values):
            return Value(sources=self.below, raises=True)
        return self.values[position]


def leaf(values: Sequence[Value]) -> Relation:
    return Relation(tuple(values), Group(), frozenset())


def computed(expression: _Node, relation: Relation) -> Value:
    if expression.get("expression_class") == "BOUND_REF":
        return relation.value(int(expression.get("index", 0)))
    used = [
        relation.value(int(part.get("index", 0)))
        for part in objects(expression)
        if part.get("expression_class") == "BOUND_REF"
    ]
    value = combined(used)
    return Value(None, value.sources, value.raises or not is_harmless(expression), value.stuck)


def combined(values: Iterable[Value]) -> Value:
    """What holds of a value that is computed from these."""
    values = list(values)
    sources = frozenset[str]().union(*(value.sources for value in values))
    return Value(None, sources, any(v.raises for v in values), any(v.stuck for v in values))


def concatenated(left: Relation, right: Relation) -> tuple[Value, ...] | None:
    return None if left.values is None or right.values is None else (*left.values, *right.values)


def side_by_side(left: Relation, right: Relation) -> Relation:
    left.group.absorb(right.group)
    return Relation(concatenated(left, right), left.group, left.below | right.below)


def mapped(node: _Node, left: Relation, right: Relation, both: Relation) -> Relation:
    """What a join of both sides gives: with maps, only the columns that they name."""
    kept = chosen(left, node.get("left_projection_map")), chosen(right, node.get("right_projection_map"))
    values = None if kept[0] is None or kept[1] is None else (*kept[0], *kept[1])
    return Relation(values, both.group, both.below)


def chosen(relation: Relation, positions: list[int] | None) -> tuple[Value, ...] | None:
    return tuple(relation.value(position) for position in positions) if positions else relation.values


def other_conditions(join: _Node) -> list[_Node]:
    """Conditions of a join that are no comparison of one side with the other; positions count through both sides."""
    alone = [condition["left"] for condition in join.get("conditions", []) if "right" not in condition]
    return [*alone, *([join["condition"]] if "condition" in join else [])]


def comparisons(join: _Node, left: Relation, right: Relation) -> Iterator[Comparison]:
    for condition in join.get("conditions", []):
        if "right" in condition:
            sides = computed(condition["left"], left), computed(condition["right"], right)
            yield str(condition.get("comparison")), *sides
