"""Which governed columns a block aggregates or chooses rows by, whether it may, and how its groups are counted."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from datacanal.planning.aggregate_blocks import AggregateBlock, Obstacle
from datacanal.planning.binding import NamedType
from datacanal.planning.expressions import is_column, named_column, parts
from datacanal.planning.from_clause import FromColumn, FromItem
from datacanal.planning.lineage import BaseColumn
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


def governed_measures(taken: AggregateBlock, items: Sequence[FromItem]) -> tuple[list[Origin], list[FromColumn]]:
    """The governed columns that are aggregated or choose rows, and the columns of their individuals, each once."""
    columns = [column for item in items for column in item.columns]
    needed = [*_aggregated(taken, columns), *(bound for item in items for bound in item.bounds)]
    origins = {(origin.lake, origin.dataset, origin.column): origin for _, origin in needed}
    entities: dict[tuple[object, ...], FromColumn] = {}
    for base, origin in needed:
        key = (base.occurrence, base.row)
        if key not in entities:
            entities[key] = _entity(base, origin, columns)
    return list(origins.values()), list(entities.values())


def _aggregated(taken: AggregateBlock, columns: Sequence[FromColumn]) -> Iterator[tuple[BaseColumn, Origin]]:
    """The governed measures. Raises `Obstacle` for one that may not be."""
    named = {(column.item.lower(), column.name.lower()): column for column in columns}
    known = known_columns(columns)
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
            yield column.base, column.origin


def place(obstacle: Obstacle, columns: Sequence[FromColumn]) -> None:
    """Say which governed columns the obstacle is about: what the statement calls them may be an alias."""
    about = [column for column in columns if obstacle.names is None or column.name.lower() in obstacle.names]
    origins = [origin for column in about for origin in column.label.origins]
    obstacle.columns = obstacle.columns or frozenset(f"{o.lake}.{o.dataset}.{o.column}" for o in origins)


def _entity(own: BaseColumn, origin: Origin, columns: Sequence[FromColumn]) -> FromColumn:
    """The column with the individuals of the rows that the governed column is of."""
    for column in columns:
        base = column.base
        is_entity = base is not None and base.column == origin.entity
        if is_entity and base is not None and (base.occurrence, base.row) == (own.occurrence, own.row):
            return column
    obstacle = Obstacle(
        f"its groups cannot be counted: {origin.entity} of {origin.lake}.{origin.dataset} is not read beside it.",
        f"Select {origin.entity} in the same subquery as {origin.column}, as a bare column.",
    )
    obstacle.columns = frozenset({f"{origin.lake}.{origin.dataset}.{origin.column}"})
    raise obstacle


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
