"""The life of a product's version, and what its name looks like. One table, one pure function."""

from __future__ import annotations

import re
from enum import StrEnum

from datacanal.domain.errors import BadField, WrongState


class VersionState(StrEnum):
    """`draft` is being made; `held` broke its contract; `superseded` was stable once and can be again."""

    DRAFT = "draft"
    HELD = "held"
    STAGED = "staged"
    CANARY = "canary"
    STABLE = "stable"
    SUPERSEDED = "superseded"
    RETIRED = "retired"
    FAILED = "failed"


class VersionMove(StrEnum):
    """Words that finish the sentence “a version that is … cannot …”."""

    STAGE = "be staged"
    HOLD = "be held"
    FAIL = "fail"
    ACCEPT = "be accepted"
    TRY = "become the canary"
    WITHDRAW = "be withdrawn"
    PROMOTE = "become stable"
    SUPERSEDE = "be superseded"
    RETIRE = "be retired"


_S, _M = VersionState, VersionMove
MOVES: dict[tuple[VersionState, VersionMove], VersionState] = {
    (_S.DRAFT, _M.STAGE): _S.STAGED,
    (_S.DRAFT, _M.HOLD): _S.HELD,
    (_S.DRAFT, _M.FAIL): _S.FAILED,
    (_S.HELD, _M.ACCEPT): _S.STAGED,
    (_S.STAGED, _M.HOLD): _S.HELD,
    (_S.STAGED, _M.TRY): _S.CANARY,
    (_S.STAGED, _M.PROMOTE): _S.STABLE,
    (_S.CANARY, _M.HOLD): _S.HELD,
    (_S.CANARY, _M.WITHDRAW): _S.STAGED,
    (_S.CANARY, _M.PROMOTE): _S.STABLE,
    (_S.STABLE, _M.SUPERSEDE): _S.SUPERSEDED,
    (_S.SUPERSEDED, _M.TRY): _S.CANARY,
    (_S.SUPERSEDED, _M.PROMOTE): _S.STABLE,
    (_S.HELD, _M.RETIRE): _S.RETIRED,
    (_S.STAGED, _M.RETIRE): _S.RETIRED,
    (_S.SUPERSEDED, _M.RETIRE): _S.RETIRED,
    (_S.FAILED, _M.RETIRE): _S.RETIRED,
}

SERVED = frozenset({VersionState.CANARY, VersionState.STABLE, VersionState.SUPERSEDED})
"""What a developer can reach: by a channel, or by the snapshot's id."""


def moved(state: VersionState, move: VersionMove, version: str) -> VersionState:
    """The state after the move. Raises `WrongState`."""
    after = MOVES.get((state, move))
    if after is None:
        raise WrongState(what=f"version {version}", state=state, action=move, hint=_advice(state, move))
    return after


def _advice(state: VersionState, move: VersionMove) -> str:
    if state is VersionState.STABLE and move is VersionMove.PROMOTE:
        return "There is nothing to do: readers get it."
    if state in (VersionState.STABLE, VersionState.CANARY) and move is VersionMove.RETIRE:
        return "A channel points at it; promote or roll back to another version first."
    possible = _possible(state)
    return f"It can still {', '.join(possible)}." if possible else "It is at its end; publish a new version."


def _possible(state: VersionState) -> list[str]:
    return [move.value for before, move in MOVES if before is state]


_PART = r"[a-z][a-z0-9_]{0,62}"
_NAME = re.compile(rf"({_PART})\.({_PART})")


def check_product_name(name: str) -> str:
    """The name itself. Raises `BadField` unless it reads `publisher.product`."""
    if _NAME.fullmatch(name) is None:
        reason = "publisher.product is needed, each of lower-case letters, digits and _ and beginning with a letter"
        raise BadField(field="name", reason=reason)
    return name


def publisher_of(name: str) -> str:
    """The namespace that the product is in."""
    return name.partition(".")[0]
