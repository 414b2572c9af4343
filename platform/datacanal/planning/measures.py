"""Which governed columns a block aggregates, whether it may, and how its groups are counted."""

from __future__ import annotations

import re
from collections.abc import Sequence

from datacanal.planning.aggregate_blocks import AggregateBlock, Obstacle
from datacanal.planning.binding import NamedType
from datacanal.planning.expressions import is_column, named_column, parts
from datacanal.planning.from_clause import FromColumn
from datacanal.planning.pieces import column_node
from datacanal.protocol.labels import Origin
from datacanal.protocol.plan import Entity, Measure, Protection

GOVERNED = "aggregate"
_OF_GOVERNED = frozenset({"count", "sum", "avg"})
_NUMBER = re.compile(r"U?(TINYINT|SMALLINT|INTEGER|BIGINT|HUGEINT)|FLOAT|DOUBLE|DECIMAL\(\d+,\s?\d+\)")
_BARE = "Aggregate the bare column: count, sum or avg of it, and compute with the result, as in sum(a) / count(*)."


def known_columns(columns: Sequence[FromColumn]) -> dict[str, frozenset[str]]:
    """The names of the columns by their items, all in lower case."""
    items: dict[str, set[str]] = {}
    for column in columns:
        items.setdefault(column.item.lower(), set()).add(column.name.lower())
    return {item: frozenset(names) for item, names in items.items()}


def governed_measures(taken: AggregateBlock, columns: Sequence[FromColumn]) -> tuple[list[Origin], list[FromColumn]]:
    """The governed columns that are aggregated, and the columns of their individuals, each once."""
    named = {(column.item.lower(), column.name.lower()): column for column in columns}
    known = known_columns(columns)
    origins: dict[str, Origin] = {}
    entities: dict[tuple[object, ...], FromColumn] = {}
    for call in taken.calls:
        used = [named[found] for part in parts(call.column) if (found := named_column(part, known))]
        for column in used:
            if column.label.policy_class != GOVERNED:
                continue
            if not is_column(call.column or {}) or column.base is None or column.origin is None:
                raise Obstacle("it may only be aggregated as the bare column.", _BARE, call.column)
            if call.function not in _OF_GOVERNED:
                rule = f"it may only be seen as count, sum or avg, not as {call.function.replace('_', ' ')}."
                raise Obstacle(rule, _BARE, call.column)
            origins.setdefault(column.origin.column, column.origin)
            entities.setdefault((column.base.occurrence, column.base.row), _entity(column, columns))
    return list(origins.values()), list(entities.values())


def governed_names(obstacle: Obstacle, columns: Sequence[FromColumn]) -> frozenset[str]:
    """The governed columns that it is about, in full: what the statement calls them may be an alias."""
    about = [column for column in columns if obstacle.names is None or column.name.lower() in obstacle.names]
    origins = [origin for column in about for origin in column.label.origins]
    return frozenset(f"{origin.lake}.{origin.dataset}.{origin.column}" for origin in origins)


def _entity(measure: FromColumn, columns: Sequence[FromColumn]) -> FromColumn:
    """The column with the individuals of the measure's rows."""
    origin, own = measure.origin, measure.base
    if origin is None or own is None:
        raise AssertionError("only governed bare columns have individuals")
    for column in columns:
        base = column.base
        is_beside = column.item == measure.item and base is not None and base.column == origin.entity
        if is_beside and base is not None and (base.occurrence, base.row) == (own.occurrence, own.row):
            return column
    raise Obstacle(
        f"its groups cannot be counted: {origin.entity} of {origin.lake}.{origin.dataset} is not read beside it.",
        f"Select {origin.entity} in the same subquery as {origin.column}, as a bare column.",
        column_node(measure.name),
    )


def protection_of(taken: AggregateBlock, entities: Sequence[FromColumn]) -> Protection:
    """How the block's relation is grouped and guarded."""
    return Protection(
        groups=[f"g{number}" for number in range(len(taken.groups))],
        measures=[Measure(function=call.function, column=taken.measure_column(call)) for call in taken.calls],
        entities=[
            Entity(column=f"e{number}", lake=each.base.lake, dataset=each.base.dataset)
            for number, each in enumerate(entities)
            if each.base is not None
        ],
    )


def check_numbers(protection: Protection, columns: Sequence[NamedType]) -> None:
    """Shares of a sum are counted for numbers only."""
    kinds = {column.name: column.type for column in columns}
    for measure in protection.measures:
        if measure.function in ("sum", "avg") and not _NUMBER.fullmatch(kinds[str(measure.column)]):
            raise Obstacle("only numbers are added up beside such columns.", "Leave that sum or avg out.")
