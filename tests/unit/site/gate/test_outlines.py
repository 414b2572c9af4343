"""Outlines: differing by few is never taken for differing by many."""

from __future__ import annotations

import random
from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datacanal.site.gate.outlines import Outline, Shelf, cells_for, outlines


def hashed(values: object) -> np.ndarray:
    """Any numbers as hashes of the size that DuckDB's have."""
    spread = np.array(values, np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    return np.asarray(spread ^ (spread >> np.uint64(29)))


def outline(contributed: Mapping[int, int], min_group: int) -> Outline:
    starts = np.array([0, len(contributed)])
    [made] = outlines(starts, hashed(list(contributed)), hashed(list(contributed.values())), min_group)
    return made


def differing(one: Mapping[int, int], other: Mapping[int, int]) -> int:
    return sum(one.get(person) != other.get(person) for person in {*one, *other})


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32), st.integers(2, 40), st.integers(0, 60))
def test_groups_that_differ_by_few_are_always_found(seed: int, min_group: int, changes: int) -> None:
    """Whatever few individuals are left out, added or changed."""
    chance = random.Random(seed)
    group = {person: chance.randrange(50) for person in chance.sample(range(10**6), min_group + chance.randrange(200))}
    other = dict(group)
    for person in chance.sample(sorted(group), min(changes, len(group) - min_group)):
        match chance.randrange(3):
            case 0:
                del other[person]
            case 1:
                other[person] += 1
            case 2:
                other[10**6 + person] = 1
    count = differing(group, other)
    shelf = Shelf(min_group, [outline(group, min_group)])
    found = outline(other, min_group)
    assert (shelf.same(found) is not None) == (count == 0)
    assert shelf.is_close(found) or count == 0 or count >= min_group
    assert outline(group, min_group).differing(found) <= count


def test_groups_far_apart_may_stand_beside_each_other() -> None:
    shelf = Shelf(10, [outline(dict.fromkeys(range(1000), 1), 10)])
    assert not shelf.is_close(outline(dict.fromkeys(range(5, 1009), 1), 10))
    assert not shelf.is_close(outline(dict.fromkeys(range(2000, 3000), 1), 10))
    assert not shelf.is_close(outline(dict.fromkeys(range(1000), 2), 10))


def test_a_changed_contribution_is_one_individual() -> None:
    group = dict.fromkeys(range(100), 1)
    changed = {**group, **dict.fromkeys(range(9), 2)}
    assert outline(group, 10).differing(outline(changed, 10)) <= 9
    assert Shelf(10, [outline(group, 10)]).is_close(outline(changed, 10))


def test_a_stricter_policy_still_sees_what_a_laxer_one_let_out() -> None:
    group = dict.fromkeys(range(300), 1)
    before = outline(group, 5)
    shelf = Shelf(90, [before])
    assert before.least.size < 90
    assert before.cells < cells_for(90)
    assert shelf.is_close(outline(dict.fromkeys(range(40, 300), 1), 90))
    assert shelf.same(outline(group, 90)) is not None
    assert not shelf.is_close(outline(dict.fromkeys(range(1000), 1), 90))


@pytest.mark.parametrize(("min_group", "cells"), [(2, 512), (64, 512), (65, 1024), (1000, 8192)])
def test_cells_grow_with_the_groups_that_are_asked_for(min_group: int, cells: int) -> None:
    assert cells_for(min_group) == cells


def test_an_outline_of_very_many_is_small() -> None:
    made = outline(dict.fromkeys(range(200_000), 1), 10)
    assert made.individuals == 200_000
    assert made.least.size == 16
    assert made.places.size <= 512
