"""The gate for words: every lake that a step read must let its logs out, and they are charged and recorded."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from datacanal.domain.errors import AuthorityRefused, DatacanalError, LogsRefused
from datacanal.domain.readers import may_read
from datacanal.protocol.authority import Authority
from datacanal.protocol.problem import problem_of
from datacanal.protocol.site import LogCommand
from datacanal.protocol.words import AttemptWords, SiteWords
from datacanal.site.authorities import Authorities
from datacanal.site.gate.permit import permit
from datacanal.site.policy import Policy
from datacanal.site.record.book import RecordBook
from datacanal.site.record.entry import Entry
from datacanal.site.store.egress import EgressBook, Release, Source
from datacanal.site.store.models import AttemptRow
from datacanal.site.store.work import WorkStore
from datacanal.site.words.reads import datasets_of

_STEWARDS = ("steward", "admin")
_AT_MOST_BYTES = 4 * 2**20


@dataclass(frozen=True)
class Heard:
    """An attempt that said something, and why its words stay here (None: they may leave)."""

    attempt: AttemptRow
    refusal: LogsRefused | None


@dataclass(frozen=True)
class WordsGate:
    """`policy_of` gives a lake's policy in force, None for a lake of another site. Blocking."""

    site: str
    authorities: Authorities
    policy_of: Callable[[str], Policy | None]
    work: WorkStore
    egress: EgressBook
    record: RecordBook
    clock: Callable[[], datetime]

    def released(self, command: LogCommand) -> SiteWords:
        """What may leave of the words of the job's attempts: cut to size, charged and recorded.

        Raises `AuthorityRefused`, `BudgetExceeded`, and `LogsRefused` where all of them stay. Refusals are recorded.
        """
        attempts = [attempt for attempt in self.work.attempts(command.job) if attempt.said]
        reader = self._reader(command, attempts)
        policies = {lake: self.policy_of(lake) for lake, _ in datasets_of(attempts)}
        heard = [Heard(attempt, self._refusal(reader, attempt, policies)) for attempt in attempts]
        for item in heard:
            if item.refusal is not None:
                asked = _asked(reader, [item.attempt], policies)
                self._refuse(replace(asked, step=item.attempt.step, fence=item.attempt.fence), item.refusal)
        free = [item.attempt for item in heard if item.refusal is None]
        if heard and not free:
            raise next(item.refusal for item in heard if item.refusal is not None)
        known = {lake: policy for lake, policy in policies.items() if policy is not None}
        words = _cut(heard, _limit_bytes(free, known))
        if free:
            self._release(_asked(reader, free, known), words, known)
        return words

    def _reader(self, command: LogCommand, attempts: Sequence[AttemptRow]) -> Authority:
        try:
            reader = self.authorities.verified(command.authority)
            if reader.job != command.job or not all(_may_ask(reader, attempt) for attempt in attempts):
                raise self.authorities.refusal("who asks is neither the job's submitter nor a steward")
            return reader
        except AuthorityRefused as error:
            reason = f"{error.code}: {error.detail}"
            self.record.add(Entry(at_ms=self._now_ms(), kind="log", decision="refused", job=command.job, reason=reason))
            raise

    def _refusal(
        self, reader: Authority, attempt: AttemptRow, policies: Mapping[str, Policy | None]
    ) -> LogsRefused | None:
        reasons = (self._stays(reader, *named, policies[named[0]]) for named in datasets_of([attempt]))
        reason = "nobody knows what it may quote" if attempt.reads is None else next(filter(None, reasons), None)
        if reason is None:
            return None
        return LogsRefused(site=self.site, job=attempt.job, reason=f"step {attempt.step}: {reason}")

    def _stays(self, reader: Authority, lake: str, dataset: str, policy: Policy | None) -> str | None:
        """Why words that may quote the dataset do not leave."""
        if policy is None:
            return f"the policy of {lake}.{dataset} is at another site"
        if not policy.logs.release:
            return f"the policy of lake {lake!r} does not let logs out"
        if reader.role in _STEWARDS:
            return None
        stays = may_read(
            policy.dataset(dataset).readers,
            policy.grants_of(dataset),
            principal=reader.principal,
            groups=reader.groups,
            purpose=reader.purpose,
            now_s=self.clock().timestamp(),
        )
        return stays and f"{reader.principal!r} may not use {lake}.{dataset}: {stays}"

    def _release(self, asked: Release, words: SiteWords, policies: Mapping[str, Policy]) -> None:
        said = [item.said.encode() for item in words.attempts]
        release = replace(asked, digest=hashlib.sha256(b"\n".join(said)).hexdigest(), bytes=sum(map(len, said)))
        by_dataset = {(source.lake, source.dataset): policies[source.lake] for source in release.sources}
        try:
            self.egress.release(release, permit(release, by_dataset, None, self.clock()), None, self._now_ms())
        except DatacanalError as error:
            self._refuse(release, error)
            raise

    def _refuse(self, release: Release, error: DatacanalError) -> None:
        named = {source.lake: source.policy for source in release.sources if source.policy}
        self.egress.refuse(release, named, error, self._now_ms())

    def _now_ms(self) -> int:
        return int(self.clock().timestamp() * 1000)


def _may_ask(reader: Authority, attempt: AttemptRow) -> bool:
    if reader.tenant != attempt.tenant:
        return False
    return reader.role in _STEWARDS or reader.principal == attempt.principal


def _limit_bytes(attempts: Sequence[AttemptRow], policies: Mapping[str, Policy]) -> int:
    """The strictest lake among those that flowed in."""
    return min([_AT_MOST_BYTES, *(policies[lake].logs.max_bytes for lake, _ in datasets_of(attempts))])


def _cut(heard: Sequence[Heard], limit_bytes: int) -> SiteWords:
    """The words in the order of the attempts, until the limit is reached."""
    words = []
    for item in heard:
        step, fence = item.attempt.step, item.attempt.fence
        if item.refusal is not None:
            words.append(AttemptWords(step=step, fence=fence, kept=problem_of(item.refusal)))
            continue
        said = item.attempt.said.encode()[:limit_bytes].decode("utf-8", "ignore")
        limit_bytes -= len(said.encode())
        words.append(AttemptWords(step=step, fence=fence, said=said, cut=said != item.attempt.said))
    return SiteWords(attempts=words)


def _asked(reader: Authority, attempts: Sequence[AttemptRow], policies: Mapping[str, Policy | None]) -> Release:
    """The words of these attempts as they ask to leave, not counted yet."""
    found = [(lake, dataset, policies[lake]) for lake, dataset in datasets_of(attempts)]
    return Release(
        tenant=reader.tenant,
        principal=reader.principal,
        purpose=reader.purpose,
        job=reader.job,
        step="",
        kind="log",
        receivers=(reader.principal,),
        plan_digest=reader.plan,
        digest="",
        rows=0,
        bytes=0,
        columns=(),
        sources=tuple(Source(lake, dataset, "", policy.digest if policy else "") for lake, dataset, policy in found),
    )
