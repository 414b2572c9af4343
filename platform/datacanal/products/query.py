"""Reads a query from the parameters of a request. Strict: what is not understood is an error that names it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from difflib import get_close_matches
from functools import lru_cache

from duckdb.sqltypes import DuckDBPyType

from datacanal.domain.product_errors import InvalidParameter, InvalidParameters
from datacanal.formats.sqltext import parsed_type
from datacanal.products.manifest import Column, Manifest
from datacanal.products.query_form import OPERATORS, Filter, Operator, Order
from datacanal.products.query_form import Query as Query
from datacanal.products.query_lists import Item, items
from datacanal.products.query_values import normal_value, refuses_filters

DEFAULT_LIMIT = 100
MOST_VALUES = 1000
MOST_CHARACTERS = 65_536
"""Of one parameter."""
OWN_NAMES = ("select", "order", "limit", "as_of", "snapshot", "channel", "cursor")
"""Parameters that are no columns. A column of such a name is reached with its operator: `limit.eq=5`."""

_SEVERAL = ("eq", "ne", "in")


class _Wrong(ValueError):
    def __init__(self, reason: str, suggestion: str = "") -> None:
        super().__init__(reason)
        self.suggestion = suggestion


def parse_query(params: Sequence[tuple[str, str]], manifest: Manifest, most_rows: int) -> Query:
    """The query that the decoded parameters ask. Raises `InvalidParameters`, with one entry per wrong parameter.

    `column=v1,v2` and `column.op=v` filter; a comma inside a value is written in double quotes: `"a,b"`, in which
    `\\"` and `\\\\` stand for themselves. `select`, `order` (columns of the key, `-` descends, the key's remaining
    columns follow) and `limit` (1 to `most_rows`; 100, or `most_rows` where that is less) are optional.
    A column's whole name wins over a column and an operator: with a column `a.gt`, `a.gt=1` is an equality.
    """
    return _Parsing(manifest, most_rows).parse(params)


class _Parsing:
    def __init__(self, manifest: Manifest, most_rows: int) -> None:
        self._manifest = manifest
        self._most_rows = most_rows
        self._columns = {column.name: column for column in manifest.columns}
        self._filters: dict[tuple[str, str], Filter] = {}
        self._select = tuple(self._columns)
        self._order = self._completed([])
        self._limit = min(DEFAULT_LIMIT, most_rows)

    def parse(self, params: Sequence[tuple[str, str]]) -> Query:
        invalid: list[InvalidParameter] = []
        own: set[str] = set()
        for name, text in params:
            try:
                self._read(name, text, own)
            except _Wrong as wrong:
                invalid.append({"field": name, "reason": str(wrong), "suggestion": wrong.suggestion})
        if invalid:
            raise InvalidParameters(invalid)
        filters = sorted(self._filters.values(), key=lambda each: (each.column, each.operator))
        return Query(self._manifest.product, tuple(filters), self._select, self._order, self._limit)

    def _read(self, name: str, text: str, own: set[str]) -> None:
        if len(text) > MOST_CHARACTERS:
            raise _Wrong(f"longer than {MOST_CHARACTERS:,} characters")
        readers: dict[str, Callable[[str], None]] = {
            "select": self._read_select, "order": self._read_order, "limit": self._read_limit,
        }  # fmt: skip
        if name not in readers:
            self._read_filter(name, text)
        elif name in own:
            raise _Wrong("given more than once")
        else:
            own.add(name)
            readers[name](text)

    # ------------------------------------------------------------------------------------------------ filters

    def _read_filter(self, name: str, text: str) -> None:
        column, operator = self._subject(name)
        kind = _kind(column.type)
        refusal = refuses_filters(kind)
        if refusal:
            raise _Wrong(refusal)
        values = self._values(text, column, operator)
        operator = _settled(operator, values)
        # `in` and `eq` are one operator in two spellings.
        place = (column.name, "eq" if operator == "in" else operator)
        if place in self._filters:
            raise _Wrong("given more than once; several values are separated by commas")
        self._filters[place] = Filter(column.name, operator, values, column.type)

    def _subject(self, name: str) -> tuple[Column, Operator]:
        if name in self._columns and name not in OWN_NAMES:
            return self._columns[name], "eq"
        stem, dot, operator = name.rpartition(".")
        if dot and stem in self._columns:
            if operator not in OPERATORS:
                raise _Wrong(f"there is no operator {operator!r}", self._nearest_operator(stem, operator))
            return self._columns[stem], operator
        raise _Wrong("there is no such column or parameter", self._nearest_name(name))

    def _values(self, text: str, column: Column, operator: Operator) -> tuple[str, ...]:
        given = _items(text)
        if len(given) > 1 and operator not in _SEVERAL:
            raise _Wrong(f"{operator} takes one value; a comma inside a value is written in double quotes", f'"{text}"')
        if len(given) > MOST_VALUES:
            raise _Wrong(f"{len(given):,} values; at most {MOST_VALUES:,} can be asked at once")
        try:
            return tuple(sorted({normal_value(item.text, _kind(column.type), operator) for item in given}))
        except ValueError as malformed:
            raise _Wrong(str(malformed)) from None

    # ------------------------------------------------------------------------------------------------ own names

    def _read_select(self, text: str) -> None:
        names = [item.text for item in _items(text)]
        for name in names:
            if name not in self._columns:
                raise _Wrong(f"there is no column {name!r}", _nearest(name, self._columns))
        _no_repetition(names)
        self._select = tuple(names)

    def _read_order(self, text: str) -> None:
        wanted = [_direction(item) for item in _items(text)]
        for name, _ in wanted:
            if name not in self._manifest.key:
                reason = "is not one of the key's columns, which alone can be ordered by"
                raise _Wrong(f"{name!r} {reason}", _nearest(name, self._manifest.key))
        _no_repetition([name for name, _ in wanted])
        self._order = self._completed(wanted)

    def _read_limit(self, text: str) -> None:
        digits = text.isascii() and text.isdigit() and len(text) < 20
        if not digits or not 1 <= int(text) <= self._most_rows:
            raise _Wrong(f"a whole number from 1 to {self._most_rows} is needed", self._nearest_limit(text))
        self._limit = int(text)

    def _completed(self, wanted: Sequence[tuple[str, bool]]) -> tuple[Order, ...]:
        named = {name for name, _ in wanted}
        rest = [(name, False) for name in self._manifest.key if name not in named]
        columns = self._columns
        return tuple(Order(name, columns[name].type, down, columns[name].nullable) for name, down in [*wanted, *rest])

    # ------------------------------------------------------------------------------------------------ suggestions

    def _nearest_limit(self, text: str) -> str:
        digits = text.removeprefix("-")
        if not (digits.isascii() and digits.isdigit()):
            return ""
        return str(self._most_rows) if text == digits and digits.strip("0") else "1"

    def _nearest_name(self, name: str) -> str:
        stem, dot, _ = name.rpartition(".")
        column = _nearest(stem, self._columns) if dot else ""
        with_operators = [f"{column}.{operator}" for operator in OPERATORS] if column else []
        return _nearest(name, [*self._columns, *OWN_NAMES, *with_operators])

    def _nearest_operator(self, stem: str, operator: str) -> str:
        nearest = _nearest(operator, OPERATORS)
        return f"{stem}.{nearest}" if nearest else ""


@lru_cache(maxsize=4096)
def _kind(type_: str) -> DuckDBPyType:
    """The parsed type: asking DuckDB would be most of what reading a query costs."""
    return parsed_type(type_)


def _items(text: str) -> list[Item]:
    try:
        return items(text)
    except ValueError as malformed:
        raise _Wrong(str(malformed)) from None


def _direction(item: Item) -> tuple[str, bool]:
    return (item.text, item.descending) if item.quoted else (item.text.removeprefix("-"), item.text.startswith("-"))


def _settled(operator: Operator, values: tuple[str, ...]) -> Operator:
    if operator in ("eq", "in"):
        return "eq" if len(values) == 1 else "in"
    return operator


def _no_repetition(names: Sequence[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise _Wrong(f"the column {name!r} is named more than once")


def _nearest(name: str, valid: Sequence[str] | dict[str, Column]) -> str:
    """The valid name that is most like it, letters' case aside; an empty text where none is alike."""
    folded = {each.casefold(): each for each in valid}
    found = get_close_matches(name.casefold(), folded, n=1)
    return folded[found[0]] if found else ""
