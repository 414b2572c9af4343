"""Which of the planner's rules are in force. Plans are right with any of them switched off; they only move more."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Rules:
    """`subtrees`: parts of the statement whose datasets are at one site run there whole. `join_groups`: datasets of
    one site are joined there before they travel."""

    subtrees: bool = True
    join_groups: bool = True
