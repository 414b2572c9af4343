"""What a caller asks of one product: filters, columns, order and a limit, in one normal form.

Equal questions have equal `canonical` texts, however they were spelled. Nothing here knows of HTTP or files.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

Operator = Literal["eq", "ne", "gt", "gte", "lt", "lte", "in", "like", "isnull"]
OPERATORS: tuple[Operator, ...] = ("eq", "ne", "gt", "gte", "lt", "lte", "in", "like", "isnull")


@dataclass(frozen=True)
class Filter:
    """`values` are normal texts of the column's DuckDB type `type`; `in` has several, sorted, all others have one.

    `ne` may have several: a row passes that has none of them. `isnull` has `true` or `false`.
    """

    column: str
    operator: Operator
    values: tuple[str, ...]
    type: str


@dataclass(frozen=True)
class Order:
    """One column that rows are ordered by. Nulls come last in both directions."""

    column: str
    type: str
    descending: bool = False
    nullable: bool = False

    @property
    def text(self) -> str:
        """As the canonical text has it."""
        return f"-{self.column}" if self.descending else f"+{self.column}"


@dataclass(frozen=True)
class Query:
    """`order` is total: it names every column of the key. `select` names the columns of the answer, in order."""

    product: str
    filters: tuple[Filter, ...]
    select: tuple[str, ...]
    order: tuple[Order, ...]
    limit: int

    @cached_property
    def canonical(self) -> str:
        """The query in its normal form; two queries of the same meaning and limit have the same text."""
        return _text({**self._walk, "limit": self.limit})

    @cached_property
    def digest(self) -> str:
        """sha256 (hex) of `canonical`."""
        return hashlib.sha256(self.canonical.encode()).hexdigest()

    @cached_property
    def walk(self) -> str:
        """sha256 (hex) of the query without its limit: pages of any size are pages of one walk."""
        return hashlib.sha256(_text(self._walk).encode()).hexdigest()

    @property
    def _walk(self) -> dict[str, object]:
        return {
            "filters": sorted([each.column, each.operator, list(each.values)] for each in self.filters),
            "select": list(self.select),
            "order": [each.text for each in self.order],
        }


def _text(content: dict[str, object]) -> str:
    return json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
