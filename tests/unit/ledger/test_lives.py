"""A gateway is dead when its beats stood still for so many looks of somebody who could look."""

from __future__ import annotations

from datacanal.ledger.lives import LOOKS, Watch


def looked(watch: Watch, *beats: int) -> Watch:
    for each in beats:
        watch = watch.look({"gw": each})
    return watch


def test_whose_beats_stand_still_is_dead_after_so_many_looks() -> None:
    almost = looked(Watch(), *[7] * LOOKS)
    assert almost.dead() == []
    assert looked(almost, 7).dead() == ["gw"]


def test_one_beat_is_enough_to_live() -> None:
    assert looked(Watch(), *[7] * LOOKS, 8, *[8] * (LOOKS - 1)).dead() == []
    assert looked(Watch(), *[7] * LOOKS, 8, *[8] * LOOKS).dead() == ["gw"]


def test_who_is_seen_for_the_first_time_lives() -> None:
    assert looked(Watch(), 7).dead() == []


def test_who_left_is_forgotten() -> None:
    gone = looked(Watch(), *[7] * LOOKS).look({})
    assert gone.seen == {}
    assert looked(gone, 7).dead() == []
