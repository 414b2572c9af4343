"""Which queued job runs next, and why the others wait. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Queued:
    """A job that waits; ids sort by age."""

    job: str
    principal: str


@dataclass(frozen=True)
class Limits:
    """How many jobs may run at once, in all and per user."""

    running_jobs: int
    running_jobs_per_user: int


def choose_next(queued: Sequence[Queued], running: Mapping[str, int], limits: Limits) -> Queued | None:
    """The job of the user with the fewest running jobs, the oldest among equals; None where limits leave nothing.

    Giving only the oldest queued job of each user yields the same choice.
    """
    if sum(running.values()) >= limits.running_jobs:
        return None
    startable = [item for item in queued if running.get(item.principal, 0) < limits.running_jobs_per_user]
    return min(startable, key=lambda item: (running.get(item.principal, 0), item.job), default=None)


def why_queued(principal: str, ahead: int, running: Mapping[str, int], limits: Limits) -> str:
    """Why a queued job waits, in words; `ahead` counts the older queued jobs of the same user."""
    mine = running.get(principal, 0)
    total = sum(running.values())
    if total >= limits.running_jobs:
        cause = f"{total} jobs run and the limit is {limits.running_jobs}"
    elif mine >= limits.running_jobs_per_user:
        cause = f"you run {mine} jobs and the limit per user is {limits.running_jobs_per_user}"
    else:
        cause = "it starts within moments"
    return f"queued behind {ahead} of your own jobs: {cause}" if ahead else f"queued: {cause}"
