"""A SELECT block with aggregates, taken apart: the relation that is grouped, how, and what is left of the block.

Nothing here is trusted: what the parts may show is judged by the lineage of what runs (`separation`), and that the rest
is the same statement by binding it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from datacanal.planning.expressions import (
    FromColumns,
    aggregate_calls,
    arguments_of,
    bare_name,
    is_aggregate,
    is_column,
    key_of,
    parts,
)
from datacanal.planning.names import Occurrence
from datacanal.planning.pieces import Node, column_node, rebuilt, select_node, table_node

Function = Literal["count_star", "count", "sum", "avg", "min", "max", "count_distinct"]

_FUNCTIONS: dict[str, Function] = {
    "count_star": "count_star",
    "count": "count",
    "sum": "sum",
    "avg": "avg",
    "mean": "avg",
    "min": "min",
    "max": "max",
}
_BARE = "Aggregate the bare column: sum, avg or count of it, and compute with the result, as in sum(a) / count(*)."


class Obstacle(Exception):
    """Why a block cannot be taken apart: the rule that it offends and what to write instead.

    `names` are those, in lower case, of the columns that the offending part holds; None stands for all of the block.
    `columns` are the governed ones among them in full, once they are known.
    """

    columns: frozenset[str] = frozenset()

    def __init__(self, rule: str, hint: str, part: Any = None) -> None:
        super().__init__(rule)
        self.rule = rule
        self.hint = hint
        self.names = None if part is None else frozenset(names_in(part))


@dataclass(frozen=True)
class Call:
    """An aggregate of the block; without a column it counts rows."""

    function: Function
    column: Node | None


@dataclass
class AggregateBlock:
    """A SELECT block over a FROM clause with those columns. Raises `Obstacle` where it cannot be taken apart."""

    node: Node
    columns: FromColumns
    groups: list[Node] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._check_grouping()
        self.groups = list({key_of(each, self.columns): each for each in self._group_expressions()}.values())
        self._check_aliases()
        found = {self._call_key(node): self._call(node) for node in aggregate_calls(self._outside())}
        self.calls, self._numbers = list(found.values()), {key: number for number, key in enumerate(found)}

    @property
    def measured(self) -> list[Node]:
        """The columns that are aggregated, each once."""
        columns = [call.column for call in self.calls if call.column is not None]
        return list({key_of(column, self.columns): column for column in columns}.values())

    def measure_column(self, call: Call) -> str | None:
        """The relation's name of the column that the call aggregates."""
        if call.column is None:
            return None
        keys = [key_of(column, self.columns) for column in self.measured]
        return f"m{keys.index(key_of(call.column, self.columns))}"

    def relation(self, entities: Sequence[Node]) -> Node:
        """What is grouped: groups, measured columns and entities of FROM and WHERE."""
        items = [
            {**each, "alias": f"{kind}{number}"}
            for kind, found in (("g", self.groups), ("m", self.measured), ("e", entities))
            for number, each in enumerate(found)
        ]
        kept = {name: self.node[name] for name in ("cte_map", "where_clause") if self.node.get(name)}
        return select_node(items, self.node["from_table"], **kept)

    def rest(self, groups: Occurrence, titles: Sequence[str]) -> Node:
        """The block over the groups' step instead; `titles` are the names of its columns."""
        columns = [f"group {number}" for number in range(len(self.groups))]
        columns += [f"measure {number}" for number in range(len(self.calls))]
        if set(columns) & set(names_in(self.node)):
            raise Obstacle("a name in this SELECT is one that is needed for its groups.", "Use other names.")
        items = [
            {**self._replaced(item), "alias": title}
            for item, title in zip(self.node["select_list"], titles, strict=True)
        ]
        found = select_node(items, table_node(groups, columns), cte_map=self.node.get("cte_map") or {"map": []})
        if self.node.get("having"):
            found["where_clause"] = self._replaced(self.node["having"])
        if self.node.get("qualify"):
            found["qualify"] = self._replaced(self.node["qualify"])
        found["modifiers"] = [self._modified(modifier) for modifier in self.node.get("modifiers", [])]
        return found

    @cached_property
    def _aliases(self) -> dict[str, Node]:
        return {str(item["alias"]).lower(): item for item in self.node["select_list"] if item.get("alias")}

    @cached_property
    def _group_keys(self) -> dict[str, int]:
        """Constants are left out: one that stands elsewhere is as good as the group's."""
        listed = enumerate(self.groups)
        return {key_of(each, self.columns): number for number, each in listed if each.get("class") != "CONSTANT"}

    def _outside(self) -> list[Any]:
        """Everything that is worked out after grouping."""
        return [self.node["select_list"], self.node.get("having"), self.node.get("qualify"), self.node.get("modifiers")]

    def _check_grouping(self) -> None:
        expressions = self.node.get("group_expressions") or []
        sets = [sorted(each or []) for each in self.node.get("group_sets") or []]
        if sets not in ([], [list(range(len(expressions)))]):
            rule = "such columns are grouped once, not by GROUPING SETS, ROLLUP or CUBE."
            raise Obstacle(rule, "Write one SELECT for each grouping and put them together with UNION ALL.")
        if self.node.get("sample"):
            raise Obstacle("such columns are not aggregated over a sample.", "Leave USING SAMPLE out.")
        if any(part.get("class") == "STAR" for part in parts(self.node["select_list"])):
            raise Obstacle("a SELECT that aggregates such columns names its columns.", "Name them instead of *.")

    def _group_expressions(self) -> Iterator[Node]:
        if self.node.get("aggregate_handling") == "FORCE_AGGREGATES":
            yield from self._all_groups()
        for expression in self.node.get("group_expressions") or []:
            found = self._group(expression)
            if any(part.get("class") in ("SUBQUERY", "WINDOW") or is_aggregate(part) for part in parts(found)):
                raise Obstacle("groups are plain expressions.", "Work the group out in a subquery first.", found)
            yield {name: item for name, item in found.items() if name != "alias"}

    def _all_groups(self) -> Iterator[Node]:
        """GROUP BY ALL: every item with a column and without an aggregate."""
        for item in self.node["select_list"]:
            found = list(parts(item))
            if any(map(is_aggregate, found)) or not any(map(is_column, found)):
                continue
            if any(part.get("class") in ("SUBQUERY", "WINDOW") for part in found):
                raise Obstacle("groups are plain expressions.", "Name the groups in GROUP BY.", item)
            yield {name: part for name, part in item.items() if name != "alias"}

    def _group(self, expression: Node) -> Node:
        """What GROUP BY means: a position, a column, or, where there is no such column, an alias."""
        if expression.get("class") == "CONSTANT":
            position = str((expression.get("literal") or {}).get("text", ""))
            items = self.node["select_list"]
            return dict(items[int(position) - 1]) if position.isdigit() and int(position) <= len(items) else expression
        name = bare_name(expression)
        if name is not None and name in self._aliases and not any(name in known for known in self.columns.values()):
            return self._aliases[name]
        return expression

    def _check_aliases(self) -> None:
        """An alias that is also a grouped column means now one, now the other."""
        grouped = {
            str(part["column_names"][-1]).lower() for each in self.groups for part in parts(each) if is_column(part)
        }
        for name in grouped & self._aliases.keys():
            if key_of(self._aliases[name], self.columns) not in self._group_keys:
                raise Obstacle(f"the alias {name} is also the name of a grouped column.", "Choose another alias.")

    def _call_key(self, node: Node) -> str:
        return key_of(node, self.columns)

    def _call(self, node: Node) -> Call:
        name = str(node["function_name"]).lower()
        arguments = arguments_of(node)
        if node.get("filter"):
            rule = "a SELECT that aggregates such columns may not use FILTER."
            raise Obstacle(rule, "Group by what the filter asks for, or filter in WHERE.")
        if (node.get("order_bys") or {}).get("orders"):
            rule = "a SELECT that aggregates such columns may not aggregate in an order."
            raise Obstacle(rule, "Leave ORDER BY out of the function.")
        if name not in _FUNCTIONS or len(arguments) > 1 or (name not in ("count", "count_star") and not arguments):
            raise Obstacle(f"a SELECT that aggregates such columns may not use {name}(…).", _BARE)
        if node.get("distinct") and name not in ("count", "min", "max"):
            rule = f"a SELECT that aggregates such columns may not use {name}(DISTINCT …)."
            raise Obstacle(rule, "Leave DISTINCT out.")
        if not arguments:
            return Call("count_star", None)
        is_distinct = node.get("distinct") and name == "count"
        return Call("count_distinct" if is_distinct else _FUNCTIONS[name], arguments[0])

    def _modified(self, modifier: Node) -> Node:
        if modifier["type"] == "DISTINCT_MODIFIER":
            targets = [self._replaced(each) for each in modifier.get("distinct_on_targets", [])]
            return {**modifier, "distinct_on_targets": targets} if targets else modifier
        if modifier["type"] != "ORDER_MODIFIER":
            return modifier
        return {
            **modifier,
            "orders": [{**each, "expression": self._key(each["expression"])} for each in modifier["orders"]],
        }

    def _key(self, expression: Node) -> Node:
        """A key of ORDER BY: positions and aliases stay."""
        name = bare_name(expression)
        if expression.get("class") in ("CONSTANT", "STAR") or (name is not None and name in self._aliases):
            return expression
        return self._replaced(expression)

    def _replaced(self, expression: Node) -> Node:
        """The expression over the groups' columns. A column that is left over will not bind."""
        found: Node = rebuilt(expression, self._replacement)
        return found

    def _replacement(self, part: Node) -> Node | None:
        if "class" not in part:
            return None
        if is_aggregate(part):
            return column_node(f"measure {self._numbers[self._call_key(part)]}")
        number = self._group_keys.get(key_of(part, self.columns))
        if number is not None:
            return column_node(f"group {number}")
        if part["class"] == "SUBQUERY":
            return {**part, **({"child": self._replaced(part["child"])} if part.get("child") else {})}
        return None


def names_in(value: Any) -> Iterator[str]:
    """Every name of a column or an alias in the value, in lower case."""
    for part in parts(value):
        yield from (str(name).lower() for name in part.get("column_names", []))
        if part.get("alias"):
            yield str(part["alias"]).lower()
