"""The life of a step: one table, one pure function. Attempts carry fences that only grow."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from datacanal.domain.errors import AttemptLost, DatacanalError, StaleFence

MAX_ATTEMPTS = 3


class StepState(StrEnum):
    WAITING = "waiting"
    READY = "ready"
    LEASED = "leased"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


ACTIVE_STEPS = frozenset({StepState.LEASED, StepState.RUNNING})
ENDED_STEPS = frozenset({StepState.DONE, StepState.FAILED, StepState.CANCELLED})


class Move(StrEnum):
    """What may happen to a step; events are translated into one of these."""

    INPUTS_EXIST = "inputs_exist"
    INPUTS_GONE = "inputs_gone"
    LEASE = "lease"
    START = "start"
    FINISH = "finish"
    TRY_AGAIN = "try_again"
    GIVE_UP = "give_up"
    REDO = "redo"
    LOSE = "lose"
    STOP = "stop"


# `done` moves in one case only: while its job still runs, an output that was lost is made again.
MOVES: dict[tuple[StepState, Move], StepState] = {
    (StepState.WAITING, Move.INPUTS_EXIST): StepState.READY,
    (StepState.READY, Move.INPUTS_GONE): StepState.WAITING,
    (StepState.READY, Move.LEASE): StepState.LEASED,
    (StepState.LEASED, Move.START): StepState.RUNNING,
    (StepState.LEASED, Move.FINISH): StepState.DONE,
    (StepState.RUNNING, Move.FINISH): StepState.DONE,
    (StepState.LEASED, Move.TRY_AGAIN): StepState.READY,
    (StepState.RUNNING, Move.TRY_AGAIN): StepState.READY,
    (StepState.LEASED, Move.GIVE_UP): StepState.FAILED,
    (StepState.RUNNING, Move.GIVE_UP): StepState.FAILED,
    (StepState.DONE, Move.REDO): StepState.READY,
    (StepState.DONE, Move.LOSE): StepState.FAILED,
    (StepState.WAITING, Move.STOP): StepState.CANCELLED,
    (StepState.READY, Move.STOP): StepState.CANCELLED,
    (StepState.LEASED, Move.STOP): StepState.CANCELLED,
    (StepState.RUNNING, Move.STOP): StepState.CANCELLED,
}


@dataclass(frozen=True)
class Step:
    """`needs` are the steps whose outputs it reads; `session` is the agent that holds the lease."""

    id: str
    site: str
    needs: tuple[str, ...] = ()
    state: StepState = StepState.WAITING
    attempt: int = 0
    fence: int = 0
    session: str | None = None
    error: DatacanalError | None = None


@dataclass(frozen=True)
class InputsExist:
    """Every step that it needs is done."""


@dataclass(frozen=True)
class InputsGone:
    """An output that it needs is being made again."""


@dataclass(frozen=True)
class Leased:
    """An agent took it."""

    session: str


@dataclass(frozen=True)
class Started:
    """The agent says that the attempt runs."""

    fence: int


@dataclass(frozen=True)
class Finished:
    """The agent says that the attempt succeeded."""

    fence: int


@dataclass(frozen=True)
class AttemptFailed:
    """The agent says that the attempt failed."""

    fence: int
    error: DatacanalError


@dataclass(frozen=True)
class LeaseLost:
    """The agent fell silent or died; whatever it still reports is stale."""

    reason: str


@dataclass(frozen=True)
class OutputGone:
    """A consumer could not get the output of this finished step any more."""

    error: DatacanalError


@dataclass(frozen=True)
class Stopped:
    """Its job ended, or the agent obeyed a cancel."""


StepEvent = InputsExist | InputsGone | Leased | Started | Finished | AttemptFailed | LeaseLost | OutputGone | Stopped


def advance(step: Step, event: StepEvent) -> Step:
    """The step after the event; the same step where a report came twice or an event has no meaning any more.

    Raises `StaleFence` for a report of an attempt that was taken over.
    """
    if isinstance(event, Started | Finished | AttemptFailed) and event.fence != step.fence:
        raise StaleFence(step=step.id, fence=event.fence)
    move = _move(step, event)
    target = MOVES.get((step.state, move))
    return step if target is None else _moved(step, event, target)


def _move(step: Step, event: StepEvent) -> Move:
    if isinstance(event, AttemptFailed):
        return Move.TRY_AGAIN if event.error.retriable and step.attempt < MAX_ATTEMPTS else Move.GIVE_UP
    if isinstance(event, LeaseLost):
        return Move.TRY_AGAIN if step.attempt < MAX_ATTEMPTS else Move.GIVE_UP
    if isinstance(event, OutputGone):
        return Move.REDO if step.attempt < MAX_ATTEMPTS else Move.LOSE
    return _PLAIN[type(event)]


_PLAIN: dict[type, Move] = {
    InputsExist: Move.INPUTS_EXIST,
    InputsGone: Move.INPUTS_GONE,
    Leased: Move.LEASE,
    Started: Move.START,
    Finished: Move.FINISH,
    Stopped: Move.STOP,
}


def _moved(step: Step, event: StepEvent, target: StepState) -> Step:
    moved = replace(step, state=target, session=step.session if target in ACTIVE_STEPS else None)
    match event:
        case Leased(session):
            return replace(moved, session=session, attempt=step.attempt + 1, fence=step.fence + 1, error=None)
        case AttemptFailed(_, error) | OutputGone(error):
            return replace(moved, error=error)
        case LeaseLost(reason):
            return replace(moved, fence=step.fence + 1, error=AttemptLost(reason=reason))
        case Stopped():
            return replace(moved, fence=step.fence + 1)
        case _:
            return moved
