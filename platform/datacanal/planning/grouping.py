"""How an aggregate step groups its relation, as SQL that nobody but us writes: the kernel and the interpreter run it.

Three statements over tables: the relation (columns as the `Protection` names them, already materialised), the groups
with their numbers, and the guard.

    CREATE TEMP TABLE groups AS <numbered_groups(protection, "relation")>
    <output(protection, "groups")>                      the step's columns, in the order of the numbers
    <guard(protection, "relation", "groups")>           per entity set, group and entity what it contributed
"""

from __future__ import annotations

from datacanal.planning.quoting import identifier
from datacanal.protocol.plan import Entity, Measure, Protection

# ruff: noqa: S608  # every name is quoted or made here

NUMBER = "group"
"""The column of group numbers, from 0; it is the row's position in the step's output before anything is withheld."""


def measure_name(index: int) -> str:
    """The step's column of that measure."""
    return f"a{index}"


def numbered_groups(protection: Protection, relation: str) -> str:
    """The groups with their measures, numbered. Without group columns there is one group, even of nothing."""
    groups = [identifier(name) for name in protection.groups]
    measures = [f"{_call(each)} AS {measure_name(index)}" for index, each in enumerate(protection.measures)]
    grouping = f" GROUP BY {', '.join(groups)}" if groups else ""
    grouped = f"SELECT {', '.join([*groups, *measures])} FROM {relation}{grouping}"
    # In one order whatever ran beside it: a second attempt makes the same content, which is charged once.
    order = f"ORDER BY {', '.join(groups)}" if groups else ""
    return f"SELECT row_number() OVER ({order}) - 1 AS {identifier(NUMBER)}, * FROM ({grouped})"


def output(protection: Protection, groups: str) -> str:
    """The step's rows from the table of `numbered_groups`."""
    measures = [measure_name(index) for index in range(len(protection.measures))]
    columns = ", ".join([*map(identifier, protection.groups), *measures])
    return f"SELECT {columns} FROM {groups} ORDER BY {identifier(NUMBER)}"


def guard(protection: Protection, relation: str, groups: str) -> str:
    """What each individual contributed to each group, one part for each entity set.

    `entity_set` INTEGER, `group` BIGINT, `entity` UBIGINT (a hash; NULL for rows that belong to nobody: they are no
    individual, but what they contribute may dominate), and for each measure `count_i` BIGINT (values), `share_i`
    DOUBLE (sum of absolute values; the count for functions that only count; NULL where there is none) and `mark_i`
    UBIGINT: equal where the values contributed are equal, in whatever order they came; what an individual contributed
    to several groups has the sum of its marks (modulo 2^64).
    """
    return " UNION ALL ".join(
        _guard_of(protection, index, entity, relation, groups) for index, entity in enumerate(protection.entities)
    )


def _guard_of(protection: Protection, index: int, entity: Entity, relation: str, groups: str) -> str:
    keys = [identifier(name) for name in protection.groups]
    column = identifier(entity.column)
    parts = [part for number, each in enumerate(protection.measures) for part in _contribution(number, each)]
    # Grouped before it is joined: far fewer rows meet their numbers.
    partial = ", ".join([*keys, f"{column} AS individual", *parts])
    by = ", ".join([*keys, column])
    same = " AND ".join(f"p.{key} IS NOT DISTINCT FROM n.{key}" for key in keys) or "true"
    found = [f"{name}_{number}" for number in range(len(protection.measures)) for name in ("count", "share", "mark")]
    hashed = "CASE WHEN p.individual IS NOT NULL THEN hash(p.individual) END AS entity"
    return (
        f"SELECT {index}::INTEGER AS entity_set, n.{identifier(NUMBER)}, {', '.join([hashed, *found])} "
        f"FROM (SELECT {partial} FROM {relation} GROUP BY {by}) AS p JOIN {groups} AS n ON {same}"
    )


def _contribution(number: int, measure: Measure) -> list[str]:
    if measure.column is None:
        counted, share, mark = "count(*)", "count(*)::DOUBLE", "count(*)::UBIGINT"
    else:
        column = identifier(measure.column)
        counted = f"count({column})"
        share = f"sum(abs({column}::DOUBLE))" if measure.function in _ADDING else f"{counted}::DOUBLE"
        # A sum of hashes does not depend on the order, as a sum of DOUBLEs does, and sums of groups add up.
        mark = f"(sum(hash({column})) FILTER ({column} IS NOT NULL) % {_WRAP})::UBIGINT"
    return [f"{counted} AS count_{number}", f"{share} AS share_{number}", f"{mark} AS mark_{number}"]


def _call(measure: Measure) -> str:
    if measure.column is None:
        return "count(*)"
    column = identifier(measure.column)
    if measure.function == "count_distinct":
        return f"count(DISTINCT {column})"
    return f"{measure.function}({column})"


_WRAP = 2**64
_ADDING = frozenset({"sum", "avg"})
