"""What a condition says about rows. Two uses of a governed column in a conjunct pass less than its label on:

nothing where two bare join keys of different datasets are compared for equality (and for `key IS NOT NULL`); and where
a bare aggregate column is compared with a boundary of its policy, only on which side of it the value lies (`bounded`),
which protected groups may depend on.
"""

from __future__ import annotations

from typing import Any

from datacanal.planning.lineage.constants import boundary, constant
from datacanal.planning.lineage.expressions import bare, uses
from datacanal.planning.lineage.flow import Column, Flow, Json
from datacanal.planning.lineage.sources import Mask, unreleased
from datacanal.planning.lineage.walk import Walk
from datacanal.protocol.labels import Origin, PolicyClass

_EQUALITIES = frozenset({"COMPARE_EQUAL", "COMPARE_NOT_DISTINCT_FROM"})
_BOUNDS = frozenset(
    {
        "COMPARE_LESSTHAN",
        "COMPARE_LESSTHANOREQUALTO",
        "COMPARE_GREATERTHAN",
        "COMPARE_GREATERTHANOREQUALTO",
    }
)


def conjunct(walk: Walk, condition: Json, flow: Flow, used: str) -> Mask:
    """What one conjunct, with its own conjuncts, says about rows; `used` is where it stands, in words."""
    match condition:
        case {"expression_class": "BOUND_CONJUNCTION", "type": "CONJUNCTION_AND", "children": [*parts]}:
            return conjuncts(walk, parts, flow, used)
        case {"expression_class": "BOUND_FUNCTION", "type": str(kind), "children": [left, right]}:
            return comparison(walk, kind, (left, flow), (right, flow), used)
        case {"expression_class": "BOUND_OPERATOR", "type": "OPERATOR_IS_NOT_NULL", "children": [value]}:
            column = bare(value, flow)
            if column is not None and _origin(walk, column, "join_key"):
                return 0
    return noted_uses(walk, condition, flow, used)


def conjuncts(walk: Walk, conditions: list[Json], flow: Flow, used: str) -> Mask:
    """What all of them say."""
    mask = 0
    for condition in conditions:
        mask |= conjunct(walk, condition, flow, used)
    return mask


def comparison(walk: Walk, kind: str, left: tuple[Any, Flow], right: tuple[Any, Flow], used: str) -> Mask:
    """What a comparison says about rows, its sides each over a flow of its own."""
    sides = bare(*left), bare(*right)
    if kind in _EQUALITIES and _are_keys(walk, *sides):
        return 0
    if kind in _BOUNDS:
        for column, limit in ((sides[0], right[0]), (sides[1], left[0])):
            if column is not None and column.base is not None and _is_bound(walk, column, limit):
                return walk.note(walk.bounded(column.base, column.mask), used)
    return noted_uses(walk, left[0], left[1], used) | noted_uses(walk, right[0], right[1], used)


def noted_uses(walk: Walk, expression: Any, flow: Flow, used: str) -> Mask:
    """All that the expression refers to, the governed part remembered as used there."""
    return walk.note(uses(expression, flow), used)


def _are_keys(walk: Walk, left: Column | None, right: Column | None) -> bool:
    """Whether both are bare join keys, of different datasets; or one key twice, which says that it is not NULL."""
    if left is None or right is None:
        return False
    if left.base == right.base:
        return _origin(walk, left, "join_key") is not None
    one, other = _origin(walk, left, "join_key"), _origin(walk, right, "join_key")
    return bool(one and other and (one.lake, one.dataset) != (other.lake, other.dataset))


def _is_bound(walk: Walk, column: Column, limit: Any) -> bool:
    """Whether the column is a bare aggregate column and the other side one of its policy's boundaries."""
    origin = _origin(walk, column, "aggregate")
    if not origin:
        return False
    value = constant(limit)
    return any(value in boundary(text) for text in origin.buckets)


def _origin(walk: Walk, column: Column, policy_class: PolicyClass) -> Origin | None:
    """The one governed column that a bare column of the class is; None for any other column."""
    label = walk.sources.label(column.mask)
    origins = unreleased(label)
    if column.base is None or label.policy_class != policy_class or len(origins) != 1:
        return None
    return origins[0] if origins[0].policy_class == policy_class else None
