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
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from datacanal.planning.binding import BASE_SCHEMA
from datacanal.planning.harmless import is_harmless
from datacanal.planning.tree_walk import objects

_Node = dict[str, Any]
_ONE_CHILD = ("LOGICAL_LIMIT", "LOGICAL_DISTINCT", "LOGICAL_ORDER_BY", "LOGICAL_TOP_N")
_SET_OPERATIONS = ("LOGICAL_UNION", "LOGICAL_EXCEPT", "LOGICAL_INTERSECT")


@dataclass(frozen=True, order=True)
class Column:
    """A column of an occurrence, by its position in the dataset."""

    occurrence: str
    position: int


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


@dataclass(frozen=True)
class _Value:
    """A column of a relation in the plan.

    `sources` are the occurrences that a condition on it may be moved down to. Nothing is moved below where a `stuck`
    value is made. `raises` says that computing it may raise.
    """

    base: Column | None = None
    sources: frozenset[str] = frozenset()
    raises: bool = False
    stuck: bool = False
    mark: _Mark | None = None


_OPAQUE = _Value(stuck=True)


@dataclass(eq=False)
class _Group:
    """A join group while it grows.

    `alike` are pairs that are equal or both NULL, `present` columns that are not NULL; DuckDB writes a correlated
    EXISTS so. `marks` are those whose MARK join is in the group.
    """

    members: set[str] = field(default_factory=set)
    equalities: list[tuple[Column, Column]] = field(default_factory=list)
    alike: list[tuple[Column, Column]] = field(default_factory=list)
    present: set[Column] = field(default_factory=set)
    marks: list[_Mark] = field(default_factory=list)
    forbidden: bool = False

    def absorb(self, other: _Group) -> None:
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


_Comparison = tuple[str, "_Value", "_Value"]


@dataclass(eq=False)
class _Mark:
    """What a MARK join found: the group of its right side, which joins in once a filter asks for matches only."""

    group: _Group
    comparisons: list[_Comparison]


@dataclass(frozen=True)
class _Relation:
    """What an operator gives. `values` is `None` where its columns are not understood; `below` are all occurrences."""

    values: tuple[_Value, ...] | None
    group: _Group
    below: frozenset[str]

    def value(self, position: int) -> _Value:
        if self.values is None or position >= len(self.values):
            return _Value(sources=self.below, raises=True)
        return self.values[position]


class _Reader:
    """One walk over a plan, from the leaves to the root."""

    def __init__(self, occurrences: frozenset[str]) -> None:
        self._occurrences = occurrences
        self._closed: list[_Group] = []
        self._scans: Counter[str] = Counter()
        self._tables: dict[int, _Relation] = {}
        self._exposed: set[str] = set()
        self._operators: dict[str, Callable[[_Node], _Relation]] = {
            "LOGICAL_GET": self._scan,
            "LOGICAL_DUMMY_SCAN": lambda _: _leaf([_OPAQUE]),
            "LOGICAL_PROJECTION": self._projection,
            "LOGICAL_FILTER": self._filter,
            "LOGICAL_CROSS_PRODUCT": lambda node: _side_by_side(*self._children(node)),
            "LOGICAL_COMPARISON_JOIN": self._join,
            "LOGICAL_ANY_JOIN": self._join,
            "LOGICAL_AGGREGATE_AND_GROUP_BY": self._aggregate,
            "LOGICAL_WINDOW": self._window,
            "LOGICAL_MATERIALIZED_CTE": self._with,
            "LOGICAL_CTE_REF": self._with_reference,
            **dict.fromkeys(_ONE_CHILD, self._reordered),
            **dict.fromkeys(_SET_OPERATIONS, self._set_operation),
        }

    def read(self, node: _Node) -> _Relation:
        return self._operators.get(str(node.get("type")), self._unknown)(node)

    def close(self, relation: _Relation) -> _Relation:
        """The relation for an operator that is no member of its group."""
        stack = [relation.group]
        while stack:
            self._closed.append(stack.pop())
            stack += [mark.group for mark in self._closed[-1].marks]
        return _Relation(relation.values, _Group(), relation.below)

    def groups(self) -> Iterator[JoinGroup]:
        """What was found, without occurrences that the plan scans more than once."""
        once = {name for name, count in self._scans.items() if count == 1}
        for group in self._closed:
            members = frozenset(group.members & once)
            equalities = [pair for pair in group.pairs() if {side.occurrence for side in pair} <= members]
            if equalities and not group.forbidden and not group.members & self._exposed:
                yield JoinGroup(members, tuple(dict.fromkeys(equalities)))

    def _children(self, node: _Node) -> list[_Relation]:
        return [self.read(child) for child in node.get("children", [])]

    def _unknown(self, node: _Node) -> _Relation:
        return self._guarded(self._children(node))

    def _guarded(self, children: list[_Relation]) -> _Relation:
        """What an operator gives that may notice dropped rows: nothing below it may be dropped."""
        below = frozenset[str]().union(*(self.close(child).below for child in children))
        self._exposed |= below
        return _Relation(None, _Group(), below)

    def _scan(self, node: _Node) -> _Relation:
        if node.get("children"):
            return self._unknown(node)
        table = node.get("function_data") or {}
        occurrence = str(table.get("catalog"))
        positions = [int(column.get("index", 0)) for column in node.get("column_indexes", [])]
        if node.get("projection_ids"):
            positions = [positions[chosen] for chosen in node["projection_ids"]]
        if table.get("schema") != BASE_SCHEMA or occurrence not in self._occurrences:
            return _leaf([_OPAQUE] * len(positions))
        self._scans[occurrence] += 1
        sources = frozenset({occurrence})
        values = tuple(_Value(Column(occurrence, position), sources) for position in positions)
        return _Relation(values, _Group({occurrence}), sources)

    def _projection(self, node: _Node) -> _Relation:
        expressions = node.get("expressions", [])
        child = self.read(node["children"][0])
        if not all(map(is_harmless, expressions)):
            child = self.close(child)
        return _Relation(tuple(_computed(each, child) for each in expressions), child.group, child.below)

    def _filter(self, node: _Node) -> _Relation:
        child = self.read(node["children"][0])
        if node.get("projection_map"):
            return self._guarded([child])
        for condition in node.get("expressions", []):
            self._require(condition, child)
        return child

    def _join(self, node: _Node) -> _Relation:
        left, right = self._children(node)
        kind = str(node.get("join_type"))
        if kind == "INNER":
            both = _side_by_side(left, right)
            self._require_conditions(node, left, right, both)
            return _mapped(node, left, right, both)
        if kind == "SEMI" and not right.group.forbidden:
            both = _side_by_side(left, right)
            self._require_conditions(node, left, right, both)
            return _Relation(_chosen(left, node.get("left_projection_map")), both.group, both.below)
        if kind in ("SEMI", "ANTI", "MARK"):
            return self._matched(kind, node, left, right)
        both = _side_by_side(self.close(left), self.close(right))
        self._expose_conditions(node, left, right, both)
        return _mapped(node, left, right, both)

    def _matched(self, kind: str, node: _Node, left: _Relation, right: _Relation) -> _Relation:
        """These joins look at each row of their left side for itself."""
        both = _Relation(_concatenated(left, right), left.group, left.below | right.below)
        self._expose_conditions(node, left, right, both)
        values = _chosen(left, node.get("left_projection_map"))
        if kind != "MARK":
            self.close(right)
            return _Relation(values, left.group, both.below)
        mark = _Mark(right.group, list(_comparisons(node, left, right)))
        left.group.marks.append(mark)
        found = _Value(sources=left.below, mark=mark)
        return _Relation(None if values is None else (*values, found), left.group, both.below)

    def _aggregate(self, node: _Node) -> _Relation:
        child = self.close(self.read(node["children"][0]))
        groups = [_computed(each, child) for each in node.get("groups", [])]
        others = len(node.get("expressions", [])) + len(node.get("grouping_functions", []))
        return _Relation((*groups, *[_OPAQUE] * others), _Group(), child.below)

    def _window(self, node: _Node) -> _Relation:
        child = self.close(self.read(node["children"][0]))
        if child.values is None:
            return child
        return _Relation((*child.values, *[_OPAQUE] * len(node.get("expressions", []))), _Group(), child.below)

    def _reordered(self, node: _Node) -> _Relation:
        return self.close(self.read(node["children"][0]))

    def _set_operation(self, node: _Node) -> _Relation:
        children = [self.close(child) for child in self._children(node)]
        below = frozenset[str]().union(*(child.below for child in children))
        width = max((len(child.values or ()) for child in children), default=0)
        values = tuple(_either([child.value(position) for child in children]) for position in range(width))
        return _Relation(values, _Group(), below)

    def _with(self, node: _Node) -> _Relation:
        definition, body = node["children"]
        self._tables[int(node.get("table_index", 0))] = self.close(self.read(definition))
        return self.read(body)

    def _with_reference(self, node: _Node) -> _Relation:
        """A recursive reference is to a table that is not known yet: then everything is exposed."""
        table = self._tables.get(int(node.get("cte_index", 0)))
        if table is None:
            return _Relation(None, _Group(), self._occurrences)
        return _Relation(table.values, _Group(), table.below)

    def _require_conditions(self, node: _Node, left: _Relation, right: _Relation, both: _Relation) -> None:
        for kind, one, other in _comparisons(node, left, right):
            both.group.require_pair(kind, one.base, other.base)
        self._expose_conditions(node, left, right, both)
        for condition in _expressions(node):
            self._require(condition, both)

    def _expose_conditions(self, node: _Node, left: _Relation, right: _Relation, both: _Relation) -> None:
        """Forbid what may notice dropped rows through a condition of this join that can raise."""
        for condition in node.get("conditions", []):
            if "right" in condition:
                self._expose(condition["left"], left, both.group)
                self._expose(condition["right"], right, both.group)
        for condition in _expressions(node):
            self._expose(condition, both, both.group)

    def _require(self, condition: _Node, relation: _Relation) -> None:
        """Every row that goes on fulfils the condition."""
        if condition.get("type") == "CONJUNCTION_AND":
            for part in condition["children"]:
                self._require(part, relation)
            return
        self._expose(condition, relation, relation.group)
        kind, sides = str(condition.get("type")), condition.get("children", [])
        if kind.startswith("COMPARE_") and len(sides) == 2:
            left, right = (_computed(side, relation) for side in sides)
            relation.group.require_pair(kind, left.base, right.base)
        if kind == "OPERATOR_IS_NOT_NULL" and (column := _computed(sides[0], relation).base):
            relation.group.present.add(column)
        self._require_mark(_computed(condition, relation).mark, relation.group)

    def _require_mark(self, mark: _Mark | None, group: _Group) -> None:
        """Only rows with a match go on: the MARK join is a semi join."""
        if mark is None or mark not in group.marks:
            return
        if mark.group.forbidden:
            return
        group.marks.remove(mark)
        group.absorb(mark.group)
        for kind, left, right in mark.comparisons:
            group.require_pair(kind, left.base, right.base)

    def _expose(self, condition: _Node, relation: _Relation, group: _Group) -> None:
        value = _computed(condition, relation)
        if not value.raises:
            return
        group.forbidden = True
        if not value.stuck:
            self._exposed |= value.sources or self._occurrences


def _leaf(values: Sequence[_Value]) -> _Relation:
    return _Relation(tuple(values), _Group(), frozenset())


def _computed(expression: _Node, relation: _Relation) -> _Value:
    if expression.get("expression_class") == "BOUND_REF":
        return relation.value(int(expression.get("index", 0)))
    used = [
        relation.value(int(part.get("index", 0)))
        for part in objects(expression)
        if part.get("expression_class") == "BOUND_REF"
    ]
    value = _either(used)
    return _Value(None, value.sources, value.raises or not is_harmless(expression), value.stuck)


def _either(values: Iterable[_Value]) -> _Value:
    """What holds of a value that is computed from these."""
    values = list(values)
    sources = frozenset[str]().union(*(value.sources for value in values))
    return _Value(None, sources, any(v.raises for v in values), any(v.stuck for v in values))


def _concatenated(left: _Relation, right: _Relation) -> tuple[_Value, ...] | None:
    return None if left.values is None or right.values is None else (*left.values, *right.values)


def _side_by_side(left: _Relation, right: _Relation) -> _Relation:
    left.group.absorb(right.group)
    return _Relation(_concatenated(left, right), left.group, left.below | right.below)


def _mapped(node: _Node, left: _Relation, right: _Relation, both: _Relation) -> _Relation:
    """What a join of both sides gives: with maps, only the columns that they name."""
    kept = _chosen(left, node.get("left_projection_map")), _chosen(right, node.get("right_projection_map"))
    values = None if kept[0] is None or kept[1] is None else (*kept[0], *kept[1])
    return _Relation(values, both.group, both.below)


def _chosen(relation: _Relation, positions: list[int] | None) -> tuple[_Value, ...] | None:
    return tuple(relation.value(position) for position in positions) if positions else relation.values


def _expressions(join: _Node) -> list[_Node]:
    """Conditions of a join that are no comparison of one side with the other; positions count through both sides."""
    alone = [condition["left"] for condition in join.get("conditions", []) if "right" not in condition]
    return [*alone, *([join["condition"]] if "condition" in join else [])]


def _comparisons(join: _Node, left: _Relation, right: _Relation) -> Iterator[_Comparison]:
    for condition in join.get("conditions", []):
        if "right" in condition:
            sides = _computed(condition["left"], left), _computed(condition["right"], right)
            yield str(condition.get("comparison")), *sides
