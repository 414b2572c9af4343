"""Versions move as their table says, and names are names."""

from __future__ import annotations

import pytest

from datacanal.domain.errors import BadField, WrongState
from datacanal.domain.product import MOVES, VersionMove, VersionState, check_product_name, moved, publisher_of


def test_a_retired_version_never_moves() -> None:
    for move in VersionMove:
        with pytest.raises(WrongState) as refused:
            moved(VersionState.RETIRED, move, "1.0")
        assert "It is at its end" in refused.value.remedy


def test_a_held_version_is_not_promoted_before_it_is_accepted() -> None:
    with pytest.raises(WrongState, match=r"version 1\.3 is held, so it cannot become stable") as refused:
        moved(VersionState.HELD, VersionMove.PROMOTE, "1.3")
    assert refused.value.remedy == "It can still be accepted, be retired."
    assert moved(VersionState.HELD, VersionMove.ACCEPT, "1.3") is VersionState.STAGED


@pytest.mark.parametrize(
    ("state", "move", "remedy"),
    [
        (VersionState.STABLE, VersionMove.PROMOTE, "There is nothing to do: readers get it."),
        (VersionState.STABLE, VersionMove.RETIRE, "promote or roll back to another version first."),
        (VersionState.CANARY, VersionMove.RETIRE, "promote or roll back to another version first."),
    ],
)
def test_what_a_served_version_cannot_is_told_with_the_way_on(
    state: VersionState, move: VersionMove, remedy: str
) -> None:
    with pytest.raises(WrongState) as refused:
        moved(state, move, "1.3")
    assert refused.value.remedy.endswith(remedy)


def test_a_rollback_is_the_promotion_of_what_was_superseded() -> None:
    assert moved(VersionState.SUPERSEDED, VersionMove.PROMOTE, "1.0") is VersionState.STABLE


def test_every_state_but_the_first_is_reached() -> None:
    assert set(MOVES.values()) == set(VersionState) - {VersionState.DRAFT}


@pytest.mark.parametrize("name", ["bank.bars", "a.b", "bank_1.daily_bars"])
def test_a_name_has_a_publisher(name: str) -> None:
    assert publisher_of(check_product_name(name)) == name.split(".")[0]


@pytest.mark.parametrize(
    "name", ["bars", "Bank.bars", "bank.", ".bars", "a.b.c", "1a.b", "a b.c", "银行.bars", "a.b\n"]
)
def test_other_texts_are_no_names(name: str) -> None:
    with pytest.raises(BadField, match=r"publisher\.product is needed"):
        check_product_name(name)
