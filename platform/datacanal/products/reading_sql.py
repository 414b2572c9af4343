"""A query as SQL over one Parquet file. Values are bound, never spliced; names are quoted."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from datacanal.formats.sqltext import type_text
from datacanal.planning.quoting import glob_escaped, identifier, literal
from datacanal.products.cursor import Key
from datacanal.products.query_form import Filter, Order, Query

_SIGNS = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}


@dataclass(frozen=True)
class Statement:
    sql: str
    parameters: tuple[str | int, ...]


@dataclass(frozen=True)
class _Condition:
    sql: str
    parameters: tuple[str, ...] = ()


def page_sql(
    query: Query, file: Path, columns: Sequence[str], after: Key | None, rows: int, *, lies: bool
) -> Statement:
    """The first `rows` rows after the key, in the query's order. `lies`: in which the file's rows lie already."""
    where = _where([*map(_filter, query.filters), *_after(query, after)])
    by = ", ".join(f"{identifier(o.column)} {'DESC' if o.descending else 'ASC'} NULLS LAST" for o in query.order)
    order = "" if lies else f" ORDER BY {by}"
    sql = f"SELECT {', '.join(map(identifier, columns))} FROM {_rows_of(file)}{where.sql}{order} LIMIT ?"
    return Statement(sql, (*where.parameters, rows))


def count_sql(query: Query, file: Path) -> Statement:
    """How many rows pass the query's filters."""
    where = _where(map(_filter, query.filters))
    return Statement(f"SELECT count(*) FROM {_rows_of(file)}{where.sql}", where.parameters)


def _rows_of(file: Path) -> str:
    return f"read_parquet({literal(glob_escaped(str(file)))})"


def _where(conditions: Iterable[_Condition]) -> _Condition:
    listed = list(conditions)
    sql = " WHERE " + " AND ".join(each.sql for each in listed) if listed else ""
    return _Condition(sql, tuple(value for each in listed for value in each.parameters))


def _filter(each: Filter) -> _Condition:
    name = identifier(each.column)
    bound = f"CAST(? AS {type_text(each.type)})"
    match each.operator:
        case "isnull":
            return _Condition(f"{name} IS {'' if each.values == ('true',) else 'NOT '}NULL")
        case "like":
            return _Condition(f"{name} LIKE ?", each.values)
        case "eq" | "in" | "ne":
            negation = "NOT " if each.operator == "ne" else ""
            return _Condition(f"{name} {negation}IN ({', '.join([bound] * len(each.values))})", each.values)
    return _Condition(f"{name} {_SIGNS[each.operator]} {bound}", each.values)


def _after(query: Query, key: Key | None) -> list[_Condition]:
    """The rows beyond the key, and what follows from that for the first column, by which row groups are left out."""
    if key is None:
        return []
    fixed = {each.column for each in query.filters if each.operator == "eq"}
    places = [(o, text) for o, text in zip(query.order, key, strict=True) if o.column not in fixed]
    if not places:
        return [_Condition("false")]
    return [_beyond(*places[0], or_equal=True), _lexicographic(places)]


def _lexicographic(places: Sequence[tuple[Order, str | None]]) -> _Condition:
    order, text = places[0]
    beyond = _beyond(order, text, or_equal=False)
    if len(places) == 1:
        return beyond
    same, rest = _same(order, text), _lexicographic(places[1:])
    return _Condition(
        f"({beyond.sql} OR ({same.sql} AND {rest.sql}))", beyond.parameters + same.parameters + rest.parameters
    )


def _beyond(order: Order, text: str | None, *, or_equal: bool) -> _Condition:
    """Nulls come last: nothing is beyond one, and one is beyond all else."""
    name = identifier(order.column)
    if text is None:
        return _Condition(f"{name} IS NULL" if or_equal else "false")
    sign = ("<" if order.descending else ">") + ("=" if or_equal else "")
    compared = f"{name} {sign} CAST(? AS {type_text(order.type)})"
    return _Condition(f"({compared} OR {name} IS NULL)" if order.nullable else compared, (text,))


def _same(order: Order, text: str | None) -> _Condition:
    name = identifier(order.column)
    if text is None:
        return _Condition(f"{name} IS NULL")
    return _Condition(f"{name} = CAST(? AS {type_text(order.type)})", (text,))
