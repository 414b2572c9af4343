"""What the owners of this site's datasets say when somebody publishes what a job made of them. Every answer is kept.

The site reads its own datasets off the plan that the publisher's authority names, and asks its policies of now: a
change of mind stops the next version.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from datacanal.domain.access import PERMITTED, Action
from datacanal.domain.errors import AuthorityRefused
from datacanal.protocol.authority import Authority
from datacanal.protocol.base import digest_of
from datacanal.protocol.plan import DatasetInput, Plan, PythonCode
from datacanal.protocol.products import Consent
from datacanal.protocol.site import ConsentAnswer, ConsentCommand
from datacanal.site.approvals import Approvals
from datacanal.site.authorities import Authorities
from datacanal.site.policy import Policy
from datacanal.site.record.entry import Entry, Recorded
from datacanal.site.store.approvals import Approval


@dataclass(frozen=True)
class ConsentGate:
    """`policy_of` gives the policy in force of one of the site's `lakes`. Blocking."""

    site: str
    lakes: frozenset[str]
    authorities: Authorities
    policy_of: Callable[[str], Policy]
    approvals: Approvals
    record: Callable[[Entry], Recorded]
    clock: Callable[[], datetime]

    def answer(self, command: ConsentCommand) -> ConsentAnswer:
        """An answer about each dataset of this site that the plan reads. Raises `AuthorityRefused`, and records it."""
        try:
            publisher = self._publisher(command)
        except AuthorityRefused as error:
            reason = f"{error.code}: {error.detail}"
            self.record(Entry(at_ms=self._now_ms(), kind="publication", decision="refused", reason=reason))
            raise
        asked = {(given.lake, given.dataset): given for given in _inputs(command.plan, self.site)}
        return ConsentAnswer(consents=[self._decided(publisher, command, asked[key]) for key in sorted(asked)])

    def _publisher(self, command: ConsentCommand) -> Authority:
        publisher = self.authorities.verified(command.authority)
        if publisher.role not in PERMITTED[Action.MANAGE_PRODUCTS]:
            raise self.authorities.refusal(f"the role {publisher.role!r} may not publish")
        if publisher.plan != command.plan.digest:
            raise self.authorities.refusal("the authority is for another plan")
        if _code_of(command.plan) is None and publisher.statement != _sha256(command.statement):
            raise self.authorities.refusal("the authority is for another statement")
        unknown = {given.lake for given in _inputs(command.plan, self.site)} - self.lakes
        if unknown:
            raise self.authorities.refusal(f"the plan reads the lake {min(unknown)!r}, which is not here")
        return publisher

    def _decided(self, publisher: Authority, command: ConsentCommand, given: DatasetInput) -> Consent:
        policy = self.policy_of(given.lake)
        asked = self._request(publisher, command, f"{given.lake}.{given.dataset}")
        match policy.dataset(given.dataset).publish:
            case "allowed":
                decision, reason = "granted", 'its policy says publish = "allowed"'
            case "approval" if self.approvals.holds(asked):
                decision, reason = "granted", "a steward agreed"
            case "approval":
                decision, reason = "waiting", "a steward has to agree"
            case _:
                decision, reason = "refused", 'its policy says publish = "never"'
        recorded = self.record(self._entry(asked, command, given, policy, decision == "granted", reason))
        return Consent(
            site=self.site,
            lake=given.lake,
            dataset=given.dataset,
            decision=decision,
            reason=reason,
            policy_digest=policy.digest,
            seq=recorded.seq,
            hash=recorded.hash,
            at=self.clock(),
        )

    def _request(self, publisher: Authority, command: ConsentCommand, dataset: str) -> Approval:
        return Approval(
            code=_digest(publisher.tenant, command),
            image="",
            name=command.product,
            source=_shown(command),
            pickle="",
            job=publisher.job,
            tenant=publisher.tenant,
            principal=publisher.principal,
            purpose=publisher.purpose,
            datasets=frozenset({dataset}),
            asked_ms=self._now_ms(),
            product=command.product,
        )

    def _entry(
        self,
        asked: Approval,
        command: ConsentCommand,
        given: DatasetInput,
        policy: Policy,
        agreed: bool,
        reason: str,
    ) -> Entry:
        return Entry(
            at_ms=asked.asked_ms,
            kind="publication",
            decision="accepted" if agreed else "refused",
            tenant=asked.tenant,
            principal=asked.principal,
            purpose=asked.purpose,
            job=asked.job,
            receivers=(command.product,),
            plan_digest=command.plan.digest,
            policies={given.lake: policy.digest},
            snapshots={f"{given.lake}.{given.dataset}": given.snapshot},
            digest=asked.code,
            reason=f"version {command.version}: {reason}",
        )

    def _now_ms(self) -> int:
        return int(self.clock().timestamp() * 1000)


def _inputs(plan: Plan, site: str) -> list[DatasetInput]:
    return [
        given for step in plan.steps if step.site == site for given in step.inputs if isinstance(given, DatasetInput)
    ]


def _code_of(plan: Plan) -> PythonCode | None:
    return next((step.python.code for step in plan.steps if step.python is not None), None)


def _params(plan: Plan) -> dict[str, object]:
    return {name: value for step in plan.steps for name, value in step.params.items()}


def _digest(tenant: str, command: ConsentCommand) -> str:
    """The same for the same statement or function with the same parameters, whichever job runs it."""
    code = _code_of(command.plan)
    return digest_of([tenant, command.statement, "" if code is None else code.digest, _params(command.plan)])


def _shown(command: ConsentCommand) -> str:
    """What a steward reads: all that the digest is of."""
    code = _code_of(command.plan)
    parts = [] if code is None else [code.source.rstrip("\n")]
    parts += [command.statement] if command.statement else []
    parts += [f"-- ${name} = {value!r}" for name, value in sorted(_params(command.plan).items())]
    return "\n".join(parts) + "\n"


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
