"""Which groups are withheld: whatever points at somebody, alone or as what the others leave over."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datacanal.site.gate.blocks import blocks_of
from datacanal.site.gate.suppression import Contribution, EntitySet, Ints, complemented, points, withheld

NOBODY = None
Row = tuple[int, int | None, float]
"""Group, individual, what it contributed (NaN: no value)."""


def entity_set(rows: Sequence[Row], groups: int, max_share: float | None = None) -> EntitySet:
    parts: dict[tuple[int, int | None], list[float]] = defaultdict(list)
    for group, individual, value in rows:
        parts[group, individual].append(value)
    keys = sorted(parts, key=lambda key: key[0])
    owners = np.array([group for group, _ in keys], np.int64)
    starts = np.concatenate(([0], np.cumsum(np.bincount(owners, minlength=groups)))).astype(np.int64)
    values = [[abs(value) for value in parts[key] if value == value] for key in keys]
    given, shares = np.array([bool(each) for each in values], bool), np.array([sum(each) for each in values], float)
    measure = Contribution(given) if max_share is None else Contribution(given, shares, max_share)
    measures = () if max_share == 0 else (measure,)
    entity = np.array([individual or 0 for _, individual in keys], np.uint64)
    known = np.array([individual is not NOBODY for _, individual in keys], bool)
    return EntitySet(starts, entity, known, measures)


def people(group: int, numbers: Sequence[int], value: float = 1.0) -> list[Row]:
    return [(group, number, value) for number in numbers]


def removed(sets: Sequence[EntitySet], min_group: int, *blocks: Sequence[int]) -> list[bool]:
    found = complemented(withheld(sets, min_group), sets, min_group, [np.array(block) for block in blocks])
    return [bool(each) for each in found]


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([], True),
        (people(0, range(1, 5)), False),
        (people(0, range(1, 4)), True),
        ([*people(0, range(1, 4)), (0, NOBODY, 1)], True),
        ([*people(0, range(1, 5)), (0, NOBODY, 1)], False),
        ([*people(0, range(1, 4)), *people(0, range(1, 4))], True),
        ([*people(0, range(1, 5), float("nan")), (0, 1, 5.0)], True),
        ([*people(0, range(1, 5), float("nan")), (0, NOBODY, 5.0)], True),
        (people(0, range(1, 5), float("nan")), False),
    ],
)
def test_a_group_needs_enough_individuals_who_contribute(rows: list[Row], expected: bool) -> None:
    assert removed([entity_set(rows, 1)], 4) == [expected]


@pytest.mark.parametrize(
    ("values", "max_share", "expected"),
    [
        ([1, 1, 1, 7], 0.7, False),
        ([1, 1, 1, 8], 0.7, True),
        ([-1, -1, -1, 8], 0.7, True),
        ([4, 4, -8, 8], 0.7, False),
        ([0, 0, 0, 0], 0.1, False),
        ([1, 1, 1, float("inf")], 0.9, True),
        ([1e308, 1e308, 1e308, 1e308], 0.9, True),
        ([0, 0, 0, 1], 1.0, False),
        ([0, 0, 0, 1], None, False),
    ],
)
def test_no_individual_may_dominate_a_sum(values: list[float], max_share: float | None, expected: bool) -> None:
    rows = [(0, number, value) for number, value in enumerate(values, 1)]
    assert removed([entity_set(rows, 1, max_share)], 4) == [expected]


def test_what_belongs_to_nobody_may_dominate_a_sum() -> None:
    assert removed([entity_set([*people(0, range(1, 9)), (0, NOBODY, 100.0)], 1, 0.8)], 4) == [True]


def test_every_entity_set_counts() -> None:
    many, few = entity_set(people(0, range(1, 9)), 1), entity_set(people(0, [1, 2] * 4), 1)
    assert removed([many], 4) == [False]
    assert removed([many, few], 4) == [True]


def test_a_step_that_measures_nothing_governed_is_still_counted() -> None:
    assert removed([entity_set([*people(0, range(1, 4)), *people(1, range(1, 9))], 2, 0)], 4, [0, 1]) == [True, False]


SIBLINGS = [*people(0, [1, 2]), *people(1, range(10, 20)), *people(2, range(20, 26)), *people(3, range(30, 40))]


def test_the_smallest_sibling_goes_with_a_group_that_would_be_left_over() -> None:
    assert removed([entity_set(SIBLINGS, 4)], 5, [0, 0, 0, 0]) == [True, False, True, False]


def test_two_small_groups_hide_each_other() -> None:
    rows = [*people(0, [1, 2]), *people(1, [3, 4, 5]), *people(2, range(10, 20))]
    assert removed([entity_set(rows, 3)], 5, [0, 0, 0]) == [True, True, False]


def test_the_same_individuals_twice_are_not_more_of_them() -> None:
    rows = [*people(0, [1, 2, 3]), *people(1, [1, 2, 3]), *people(2, range(10, 20))]
    assert removed([entity_set(rows, 3)], 5, [0, 0, 0]) == [True, True, True]


def test_siblings_go_until_nobody_dominates_what_is_hidden() -> None:
    rows = [*people(0, range(1, 9)), (0, 99, 100.0), *people(1, range(1, 9), 2), *people(2, range(1, 17), 5)]
    assert removed([entity_set(rows, 3, 0.6)], 5, [0, 0, 0]) == [True, True, True]
    assert removed([entity_set(rows, 3, 0.89)], 5, [0, 0, 0]) == [True, True, False]


def test_each_sum_over_one_column_hides_its_own() -> None:
    # Two rows and three columns: the cell that is too small takes one along in its row and one in its column,
    # and these take a fourth, or the two of its own row and column would give it away.
    big = [people(cell, range(10 * cell + 1, 10 * cell + 9)) for cell in range(1, 6)]
    rows = [*people(0, [1, 2]), *itertools.chain(*big)]
    across, down = [0, 0, 0, 1, 1, 1], [0, 1, 2, 0, 1, 2]
    found = removed([entity_set(rows, 6)], 5, across, down)
    assert found == [True, True, False, True, False, False]


def test_a_row_that_is_withheld_whole_is_hidden_in_the_sum_over_all() -> None:
    keys = [pa.array([1, 2, 3]), pa.array(["a", "b", "c"])]
    rows = [*people(0, [1, 2]), *people(1, range(10, 20)), *people(2, range(20, 40))]
    blocks = [each.tolist() for each in blocks_of(keys)]
    assert removed([entity_set(rows, 3)], 5, *blocks) == [True, True, False]


def test_without_siblings_nothing_else_goes() -> None:
    assert removed([entity_set([*people(0, [1]), *people(1, range(9))], 2)], 5) == [True, False]


def test_many_siblings_are_found_in_few_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    from datacanal.site.gate import suppression

    rows = [(0, 1, 1000.0)] + [
        row for group in range(1, 400) for row in people(group, range(10 * group, 10 * group + 9))
    ]
    looks: list[int] = []

    def counted(sets: Sequence[EntitySet], min_group: int, groups: Ints) -> bool:
        looks.append(groups.size)
        return points(sets, min_group, groups)

    monkeypatch.setattr(suppression, "points", counted)
    found = removed([entity_set(rows, 400, 0.5)], 5, [0] * 400)
    assert found.count(True) == 1 + 112
    assert len(looks) < 40


# ---------------------------------------------------------------- whatever the data

VALUES = st.one_of(st.integers(-5, 5).map(float), st.just(float("nan")), st.sampled_from([50.0, 1e300]))
ROWS = st.lists(st.tuples(st.integers(0, 5), st.one_of(st.none(), st.integers(1, 14)), VALUES), min_size=1, max_size=90)
PLACES = st.tuples(*[st.tuples(st.integers(0, 2), st.integers(0, 1))] * 6)


def identifies(rows: Sequence[Row], min_group: int, max_share: float | None) -> bool:
    """The rule in plain words."""
    by: dict[int | None, list[float]] = defaultdict(list)
    for _, individual, value in rows:
        by[individual] += [] if value != value else [abs(value)]
    some = {individual for individual, values in by.items() if values}
    total = sum(sum(values) for values in by.values())
    top = max((sum(values) for values in by.values()), default=0.0)
    if len(by.keys() - {None}) < min_group or (some and len(some - {None}) < min_group):
        return True
    return max_share is not None and not (total < float("inf") and top <= max_share * total * (1 + 1e-9))


@settings(max_examples=100, deadline=None)
@given(ROWS, PLACES, st.integers(2, 5), st.sampled_from([None, 0.5, 0.9]))
def test_no_group_and_no_rest_ever_identifies(
    rows: list[Row], places: tuple[tuple[int, int], ...], min_group: int, max_share: float | None
) -> None:
    used = sorted({group for group, _, _ in rows})
    rows = [(used.index(group), individual, value) for group, individual, value in rows]
    # Two groups in one place would be one group: the second column tells apart what the first two do not.
    keys = [(*places[number], places[:number].count(places[number])) for number in range(len(used))]
    blocks = [each.tolist() for each in blocks_of([pa.array(column) for column in zip(*keys, strict=True)])]
    found = removed([entity_set(rows, len(used), max_share)], min_group, *blocks)
    for group in range(len(used)):
        assert found[group] or not identifies([row for row in rows if row[0] == group], min_group, max_share)
    for summed in itertools.chain.from_iterable(itertools.combinations(range(3), many) for many in range(1, 4)):
        for block in {tuple(key[i] for i in range(3) if i not in summed) for key in keys}:
            members = [g for g, key in enumerate(keys) if tuple(key[i] for i in range(3) if i not in summed) == block]
            hidden = [row for row in rows if row[0] in members and found[row[0]]]
            if hidden and not all(found[group] for group in members):
                assert not identifies(hidden, min_group, max_share)
