"""Which table occurrences are inner- or semi-joined with each other, on which of their columns: rule 4's evidence.

Read from DuckDB's bound plan, in which names are positions. A join group is what lies below operators that only drop
or combine rows, each row for itself: inner and semi joins, cross products, filters, projections that cannot raise. A
row of one member that finds no partner in another, on a column equality of the group, is in no row that the group
gives, so it may be dropped before it travels.

Nothing may notice the drop: a condition that can raise, in the group or where an optimiser may move it into the group,
forbids the group. What is not understood forbids whatever lies below it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any

from datacanal.planning.binding import BASE_SCHEMA
from datacanal.planning.harmless import is_harmless
from datacanal.planning.joined_rows import (
    OPAQUE,
    Column,
    Group,
    Mark,
    Relation,
    Value,
    chosen,
    combined,
    comparisons,
    computed,
    concatenated,
    leaf,
    mapped,
    other_conditions,
    side_by_side,
)

_Node = dict[str, Any]
_ONE_CHILD = ("LOGICAL_LIMIT", "LOGICAL_DISTINCT", "LOGICAL_ORDER_BY", "LOGICAL_TOP_N")
_SET_OPERATIONS = ("LOGICAL_UNION", "LOGICAL_EXCEPT", "LOGICAL_INTERSECT")


@dataclass(frozen=True)
class JoinGroup:
    """Occurrences that are joined, and the equalities between their columns that every joined row fulfils."""

    members: frozenset[str]
    equalities: tuple[tuple[Column, Column], ...]


def read_join_groups(bound: _Node | None, occurrences: Collection[str]) -> list[JoinGroup]:
    """The join groups of the statement whose bound plan this is; none where the plan is not to be had."""
    if bound is None:
        return []
    reader = _Reader(frozenset(occurrences))
    try:
        reader.close(reader.read(bound))
    except RecursionError:
        return []
    return list(reader.groups())


class _Reader:
    """One walk over a plan, from the leaves to the root."""

    def __init__(self, occurrences: frozenset[str]) -> None:
        self._occurrences = occurrences
        self._closed: list[Group] = []
        self._scans: Counter[str] = Counter()
        self._tables: dict[int, Relation] = {}
        self._exposed: set[str] = set()
        self._operators: dict[str, Callable[[_Node], Relation]] = {
            "LOGICAL_GET": self._scan,
            "LOGICAL_DUMMY_SCAN": lambda _: leaf([OPAQUE]),
            "LOGICAL_PROJECTION": self._projection,
            "LOGICAL_FILTER": self._filter,
            "LOGICAL_CROSS_PRODUCT": lambda node: side_by_side(*self._children(node)),
            "LOGICAL_COMPARISON_JOIN": self._join,
            "LOGICAL_ANY_JOIN": self._join,
            "LOGICAL_AGGREGATE_AND_GROUP_BY": self._aggregate,
            "LOGICAL_WINDOW": self._window,
            "LOGICAL_MATERIALIZED_CTE": self._with,
            "LOGICAL_CTE_REF": self._with_reference,
            **dict.fromkeys(_ONE_CHILD, self._reordered),
            **dict.fromkeys(_SET_OPERATIONS, self._set_operation),
        }

    def read(self, node: _Node) -> Relation:
        return self._operators.get(str(node.get("type")), self._unknown)(node)

    def close(self, relation: Relation) -> Relation:
        """The relation for an operator that is no member of its group."""
        stack = [relation.group]
        while stack:
            self._closed.append(stack.pop())
            stack += [mark.group for mark in self._closed[-1].marks]
        return Relation(relation.values, Group(), relation.below)

    def groups(self) -> Iterator[JoinGroup]:
        """What was found, without occurrences that the plan scans more than once."""
        once = {name for name, count in self._scans.items() if count == 1}
        for group in self._closed:
            members = frozenset(group.members & once)
            equalities = [pair for pair in group.pairs() if {side.occurrence for side in pair} <= members]
            if equalities and not group.forbidden and not group.members & self._exposed:
                yield JoinGroup(members, tuple(dict.fromkeys(equalities)))

    def _children(self, node: _Node) -> list[Relation]:
        return [self.read(child) for child in node.get("children", [])]

    def _unknown(self, node: _Node) -> Relation:
        return self._guarded(self._children(node))

    def _guarded(self, children: list[Relation]) -> Relation:
        """What an operator gives that may notice dropped rows: nothing below it may be dropped."""
        below = frozenset[str]().union(*(self.close(child).below for child in children))
        self._exposed |= below
        return Relation(None, Group(), below)

    def _scan(self, node: _Node) -> Relation:
        if node.get("children"):
            return self._unknown(node)
        table = node.get("function_data") or {}
        occurrence = str(table.get("catalog"))
        positions = [int(column.get("index", 0)) for column in node.get("column_indexes", [])]
        if node.get("projection_ids"):
            positions = [positions[kept] for kept in node["projection_ids"]]
        if table.get("schema") != BASE_SCHEMA or occurrence not in self._occurrences:
            return leaf([OPAQUE] * len(positions))
        self._scans[occurrence] += 1
        sources = frozenset({occurrence})
        values = tuple(Value(Column(occurrence, position), sources) for position in positions)
        return Relation(values, Group({occurrence}), sources)

    def _projection(self, node: _Node) -> Relation:
        expressions = node.get("expressions", [])
        child = self.read(node["children"][0])
        if not all(map(is_harmless, expressions)):
            child = self.close(child)
        return Relation(tuple(computed(each, child) for each in expressions), child.group, child.below)

    def _filter(self, node: _Node) -> Relation:
        child = self.read(node["children"][0])
        if node.get("projection_map"):
            return self._guarded([child])
        for condition in node.get("expressions", []):
            self._require(condition, child)
        return child

    def _join(self, node: _Node) -> Relation:
        left, right = self._children(node)
        kind = str(node.get("join_type"))
        if kind == "INNER":
            both = side_by_side(left, right)
            self._require_conditions(node, left, right, both)
            return mapped(node, left, right, both)
        if kind == "SEMI" and not right.group.forbidden:
            both = side_by_side(left, right)
            self._require_conditions(node, left, right, both)
            return Relation(chosen(left, node.get("left_projection_map")), both.group, both.below)
        if kind in ("SEMI", "ANTI", "MARK"):
            return self._matched(kind, node, left, right)
        both = side_by_side(self.close(left), self.close(right))
        self._expose_conditions(node, left, right, both)
        return mapped(node, left, right, both)

    def _matched(self, kind: str, node: _Node, left: Relation, right: Relation) -> Relation:
        """These joins look at each row of their left side for itself."""
        both = Relation(concatenated(left, right), left.group, left.below | right.below)
        self._expose_conditions(node, left, right, both)
        values = chosen(left, node.get("left_projection_map"))
        if kind != "MARK":
            self.close(right)
            return Relation(values, left.group, both.below)
        mark = Mark(right.group, list(comparisons(node, left, right)))
        left.group.marks.append(mark)
        found = Value(sources=left.below, mark=mark)
        return Relation(None if values is None else (*values, found), left.group, both.below)

    def _aggregate(self, node: _Node) -> Relation:
        child = self.close(self.read(node["children"][0]))
        groups = [computed(each, child) for each in node.get("groups", [])]
        others = len(node.get("expressions", [])) + len(node.get("grouping_functions", []))
        return Relation((*groups, *[OPAQUE] * others), Group(), child.below)

    def _window(self, node: _Node) -> Relation:
        child = self.close(self.read(node["children"][0]))
        if child.values is None:
            return child
        return Relation((*child.values, *[OPAQUE] * len(node.get("expressions", []))), Group(), child.below)

    def _reordered(self, node: _Node) -> Relation:
        return self.close(self.read(node["children"][0]))

    def _set_operation(self, node: _Node) -> Relation:
        children = [self.close(child) for child in self._children(node)]
        below = frozenset[str]().union(*(child.below for child in children))
        width = max((len(child.values or ()) for child in children), default=0)
        values = tuple(combined([child.value(position) for child in children]) for position in range(width))
        return Relation(values, Group(), below)

    def _with(self, node: _Node) -> Relation:
        definition, body = node["children"]
        self._tables[int(node.get("table_index", 0))] = self.close(self.read(definition))
        return self.read(body)

    def _with_reference(self, node: _Node) -> Relation:
        """A recursive reference is to a table that is not known yet: then everything is exposed."""
        table = self._tables.get(int(node.get("cte_index", 0)))
        if table is None:
            return Relation(None, Group(), self._occurrences)
        return Relation(table.values, Group(), table.below)

    def _require_conditions(self, node: _Node, left: Relation, right: Relation, both: Relation) -> None:
        for kind, one, other in comparisons(node, left, right):
            both.group.require_pair(kind, one.base, other.base)
        self._expose_conditions(node, left, right, both)
        for condition in other_conditions(node):
            self._require(condition, both)

    def _expose_conditions(self, node: _Node, left: Relation, right: Relation, both: Relation) -> None:
        """Forbid what may notice dropped rows through a condition of this join that can raise."""
        for condition in node.get("conditions", []):
            if "right" in condition:
                self._expose(condition["left"], left, both.group)
                self._expose(condition["right"], right, both.group)
        for condition in other_conditions(node):
            self._expose(condition, both, both.group)

    def _require(self, condition: _Node, relation: Relation) -> None:
        """Every row that goes on fulfils the condition."""
        if condition.get("type") == "CONJUNCTION_AND":
            for part in condition["children"]:
                self._require(part, relation)
            return
        self._expose(condition, relation, relation.group)
        kind, sides = str(condition.get("type")), condition.get("children", [])
        if kind.startswith("COMPARE_") and len(sides) == 2:
            left, right = (computed(side, relation) for side in sides)
            relation.group.require_pair(kind, left.base, right.base)
        if kind == "OPERATOR_IS_NOT_NULL" and (column := computed(sides[0], relation).base):
            relation.group.present.add(column)
        self._require_mark(computed(condition, relation).mark, relation.group)

    def _require_mark(self, mark: Mark | None, group: Group) -> None:
        """Only rows with a match go on: the MARK join is a semi join."""
        if mark is None or mark not in group.marks or mark.group.forbidden:
            return
        group.marks.remove(mark)
        group.absorb(mark.group)
        for kind, left, right in mark.comparisons:
            group.require_pair(kind, left.base, right.base)

    def _expose(self, condition: _Node, relation: Relation, group: Group) -> None:
        value = computed(condition, relation)
        if not value.raises:
            return
        group.forbidden = True
        if not value.stuck:
            self._exposed |= value.sources or self._occurrences
