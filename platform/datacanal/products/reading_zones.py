"""What a file's footer says about a column: its least and greatest value in each row group."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from datacanal.products.query_form import Operator


@dataclass(frozen=True)
class Zones:
    """`least` and `greatest` have one value per row group, None where the footer says nothing."""

    least: Sequence[Any]
    greatest: Sequence[Any]
    ordered: bool = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "ordered", _ascending(self.least) and _ascending(self.greatest))

    def narrowed(self, groups: Iterable[int], operator: Operator, values: Sequence[Any]) -> Iterable[int]:
        """Those of the groups, in their order, in which a row may pass; never too few."""
        if operator == "eq" and self.ordered and isinstance(groups, range):
            first, last = bisect_left(self.greatest, values[0]), bisect_right(self.least, values[0])
            return range(max(first, groups.start), min(last, groups.stop))
        ascending = sorted(values)
        return [group for group in groups if self._may_hold(group, operator, ascending)]

    def _may_hold(self, group: int, operator: Operator, values: Sequence[Any]) -> bool:
        least, greatest = self.least[group], self.greatest[group]
        if least is None or greatest is None:
            return True
        match operator:
            case "eq" | "in":
                at = bisect_left(values, least)
                return at < len(values) and bool(values[at] <= greatest)
            case "gt":
                return bool(greatest > values[0])
            case "gte":
                return bool(greatest >= values[0])
            case "lt":
                return bool(least < values[0])
            case "lte":
                return bool(least <= values[0])
        return True


def _ascending(values: Sequence[Any]) -> bool:
    return None not in values and all(before <= after for before, after in pairwise(values))
