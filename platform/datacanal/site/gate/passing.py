"""The egress gate: every table that leaves passes it, once, whole and counted; aggregates even if they stay."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Protocol

import numpy as np
from sqlalchemy.orm import Session

from datacanal.domain.errors import DatacanalError
from datacanal.site.gate.permit import Policies, check_columns, permit
from datacanal.site.gate.protection import Guarded, Judgement, judge
from datacanal.site.gate.rewriting import rewrite
from datacanal.site.policy import Policy
from datacanal.site.store.egress import EgressBook, Release
from datacanal.site.store.entity_sets import EntityLog
from datacanal.site.store.models import OutputRow


class PolicyVersions(Protocol):
    """The policies of the site's lakes; `PolicyBook` is the real one."""

    def at(self, lake: str, digest: str, issued_s: int) -> Policy:
        """The policy of that digest, if it held for what was issued then. Raises `PolicyChanged`."""
        ...


@dataclass(frozen=True)
class Passage:
    """A table at the gate: what asks to leave, the row that keeps it, when its job was issued, and its guard.

    `guarded` is given for an aggregate step, whose table is not complete before the gate has looked at it.
    """

    release: Release
    output: OutputRow
    issued_s: int
    guarded: Guarded | None = None


class EgressGate:
    """One site's gate. May be used from several threads; aggregates pass one by one, each held against those before."""

    def __init__(self, site: str, policies: PolicyVersions, book: EgressBook, log: EntityLog) -> None:
        self._site = site
        self._policies = policies
        self._book = book
        self._log = log
        self._judging = threading.Lock()

    def pass_out(self, passage: Passage, now: datetime) -> OutputRow:
        """Let the table out: groups withheld, permitted, charged, recorded and kept, in one transaction.

        Gives the row of what is left. Raises `PolicyRefused`, `BudgetExceeded`, `QueryBudgetExceeded`, `PolicyChanged`,
        `TooManyGroups` or `StepRefused`, and records that too. The same content passes again at no charge.
        """
        turn: AbstractContextManager[object] = self._judging if passage.guarded else nullcontext()
        with turn:
            try:
                return self._passed(passage, now)
            except DatacanalError as refusal:
                named = {source.lake: source.policy for source in passage.release.sources}
                self._book.refuse(passage.release, named, refusal, _ms(now))
                raise

    def _passed(self, passage: Passage, now: datetime) -> OutputRow:
        check_columns(passage.release)
        policies = self._policies_of(passage)
        judgement = judge(passage.guarded, self._log, self._site) if passage.guarded else None
        release = _shortened(passage, judgement)
        output = passage.output
        output.rows, output.bytes, output.digest = release.rows, release.bytes, release.digest
        permission = permit(release, policies, judgement.demand if judgement else None, now)
        self._book.release(release, permission, output, _ms(now), self._logging(judgement, now))
        return output

    def _policies_of(self, passage: Passage) -> Policies:
        return {
            (source.lake, source.dataset): self._policies.at(source.lake, source.policy, passage.issued_s)
            for source in passage.release.sources
        }

    def _logging(self, judgement: Judgement | None, now: datetime) -> Callable[[Session], None]:
        def write(session: Session) -> None:
            for key, released in judgement.released if judgement else ():
                self._log.write(session, key, released, now.astimezone(UTC).date())

        return write


def _shortened(passage: Passage, judgement: Judgement | None) -> Release:
    """The release of what is left of the table, its file without the groups that are withheld."""
    if passage.guarded is None or judgement is None or not judgement.withheld.any():
        return passage.release
    left = rewrite(passage.guarded.output, judgement.withheld)
    gone = int(np.count_nonzero(judgement.withheld))
    return replace(passage.release, rows=left.rows, bytes=left.bytes, digest=left.digest, withheld_groups=gone)


def _ms(now: datetime) -> int:
    return int(now.timestamp() * 1000)
