"""Statements that are compiled once and run on the driver's own cursor: the hot path of the book.

Text, order of parameters and conversion of values are what SQLAlchemy makes of the same statement; what is left out is
making them anew for every call.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Any

from sqlalchemy import (
    BindParameter,
    Connection,
    Dialect,
    Insert,
    Select,
    Update,
    UpdateBase,
    and_,
    bindparam,
    or_,
    select,
)
from sqlalchemy.orm import InstrumentedAttribute
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.types import TypeEngine

_Convert = Callable[[Any], Any]
_Pick = Callable[[tuple[Any, ...]], tuple[Any, ...]]
_Conversions = Sequence[tuple[int, _Convert]]
_MOST = 256


class Lookup:
    """Rows by the values of some columns, any number at once."""

    def __init__(self, columns: Sequence[InstrumentedAttribute[Any]], by: Sequence[InstrumentedAttribute[Any]]) -> None:
        self._columns = columns
        self._by = by
        self._texts: dict[tuple[str, int], str] = {}
        self._ins: dict[str, _Conversions] = {}
        self._outs: dict[str, _Conversions] = {}

    def rows(self, connection: Connection, keys: Collection[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
        """The rows in which the columns `by` have the values of one of the keys; none for no key."""
        asked = list(keys)
        return [row for at in range(0, len(asked), _MOST) for row in self._some(connection, asked[at : at + _MOST])]

    def _some(self, connection: Connection, keys: Sequence[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
        known = [*keys, *[keys[-1]] * (_power_of_two(len(keys)) - len(keys))]  # few lengths, so few texts
        dialect = connection.dialect
        text = self._texts.get((dialect.name, len(known))) or self._compile(dialect, len(known))
        ins = self._ins[dialect.name]
        cursor = connection.connection.cursor()
        try:
            cursor.execute(text, [value for key in known for value in _converted(key, ins)])
            outs = self._outs.get(dialect.name)
            if outs is None:
                outs = self._convert(dialect, [each[1] for each in cursor.description])
            return [_converted(row, outs) for row in cursor.fetchall()]
        finally:
            cursor.close()

    def _compile(self, dialect: Dialect, size: int) -> str:
        # Not `(a, b) IN (…)`: SQLite reads the whole table for it.
        each = [and_(*(column == bindparam(None, type_=column.type) for column in self._by)) for _ in range(size)]
        statement: Select[Any] = select(*self._columns).where(or_(*each))
        text = _compiled(statement, dialect).string
        self._texts[(dialect.name, size)] = text
        self._ins[dialect.name] = _conversions([_of(each.type, dialect).bind_processor(dialect) for each in self._by])
        return text

    def _convert(self, dialect: Dialect, kinds: Sequence[Any]) -> _Conversions:
        """`kinds` are what the driver says that the columns are."""
        outs = _conversions(
            [
                _of(each.type, dialect).result_processor(dialect, kind)
                for each, kind in zip(self._columns, kinds, strict=True)
            ]
        )
        self._outs[dialect.name] = outs
        return outs


class Write:
    """An insertion, change or removal, for any number of rows: the values of its parameters, as `order` names them."""

    def __init__(self, statement: UpdateBase, order: Sequence[str]) -> None:
        self._statement = statement
        self._order = order
        self._prepared: dict[str, tuple[str, _Pick, _Conversions]] = {}

    def run(self, connection: Connection, rows: Sequence[tuple[Any, ...]]) -> None:
        """Write the rows, in their order."""
        if not rows:
            return
        dialect = connection.dialect
        text, pick, ins = self._prepared.get(dialect.name) or self._prepare(dialect)
        cursor = connection.connection.cursor()
        try:
            cursor.executemany(text, [_converted(pick(row), ins) for row in rows])
        finally:
            cursor.close()

    def _prepare(self, dialect: Dialect) -> tuple[str, _Pick, _Conversions]:
        compiled = _compiled(self._statement, dialect)
        names = compiled.positiontup or ()
        kinds: list[BindParameter[Any]] = [compiled.binds[name] for name in names]
        prepared = (
            compiled.string,
            _picking([self._order.index(name) for name in names]),
            _conversions([_of(kind.type, dialect).bind_processor(dialect) for kind in kinds]),
        )
        self._prepared[dialect.name] = prepared
        return prepared


def write_of(statement: Insert | Update, names: Sequence[str]) -> Write:
    """A statement that gives the columns of these names their values."""
    return Write(statement.values({name: bindparam(name) for name in names}), names)


def _picking(places: Sequence[int]) -> _Pick:
    """An `itemgetter` gives what is at one place as it is."""
    return itemgetter(*places) if len(places) > 1 else tuple


def _compiled(statement: Select[Any] | UpdateBase, dialect: Dialect) -> SQLCompiler:
    kind: Callable[..., Dialect] = type(dialect)
    positional = kind(paramstyle="qmark" if dialect.paramstyle == "qmark" else "format")
    compiled = statement.compile(dialect=positional)
    assert isinstance(compiled, SQLCompiler)  # noqa: S101  # says to the type checker what compile() gives for these
    return compiled


def _of(kind: TypeEngine[Any], dialect: Dialect) -> TypeEngine[Any]:
    return kind.dialect_impl(dialect)


def _conversions(of: Sequence[_Convert | None]) -> _Conversions:
    """Each with its place. A batch has few instants, each of them many times: they are remembered."""
    return [(place, lru_cache(256)(convert)) for place, convert in enumerate(of) if convert is not None]


def _converted(values: Sequence[Any], conversions: _Conversions) -> tuple[Any, ...]:
    if not conversions:
        return values if isinstance(values, tuple) else tuple(values)
    changed = list(values)
    for place, convert in conversions:
        changed[place] = convert(changed[place])
    return tuple(changed)


def _power_of_two(least: int) -> int:
    return 1 << (least - 1).bit_length()
