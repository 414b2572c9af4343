"""What this site's stewards approved: asked by the agent at every step and publication, decided on its machine.

An approval is for one function (the digest of its pickle) in one image, or for one statement as one product, and for
the datasets that its steward saw named.
What is decided counts for everything that begins or leaves afterwards: a function whose approval is revoked while it
runs goes on in its sandbox, and the gate keeps what it made.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from datacanal.domain.errors import ApprovalNeeded, BadField, NotFound
from datacanal.site.record.book import RecordBook
from datacanal.site.record.entry import Entry
from datacanal.site.store.approvals import Approval, ApprovalStore, Decision

SHORT = 12
"""Digits of a digest that are shown, where all of it is not needed."""


def short_image(image: str) -> str:
    """The image's id as people compare it."""
    return image.removeprefix("sha256:")[:SHORT]


@dataclass(frozen=True)
class Approvals:
    """Asked by the agent. Blocking; safe to call from several threads."""

    site: str
    store: ApprovalStore
    clock: Callable[[], datetime]

    def check(self, asked: Approval) -> None:
        """Raise `ApprovalNeeded`, and note the request, unless the function may read what it asks for."""
        if not self.holds(asked):
            raise ApprovalNeeded(
                site=self.site, name=asked.name, code_digest=asked.code[:SHORT], image=short_image(asked.image)
            )

    def holds(self, asked: Approval) -> bool:
        """Whether a steward allows what is asked for; where none does, the request is noted."""
        known = self.store.find(asked.code, asked.image, asked.product)
        if known is not None and known.allows(asked.datasets, _ms(self.clock())):
            return True
        self.store.ask(asked)
        return False


@dataclass(frozen=True)
class Stewardship:
    """Used on the site's machine. Every decision is an entry of the site's record, written in its transaction."""

    store: ApprovalStore
    record: RecordBook

    def find(self, digest: str, image: str | None = None, product: str | None = None) -> Approval:
        """The request whose code's digest begins so. Raises `NotFound`, and `BadField` where several do."""
        found = [
            each
            for each in self.store.every()
            if digest
            and each.code.startswith(digest.lower())
            and _is_image(each.image, image)
            and product in (None, each.product)
        ]
        if not found:
            raise NotFound(what="request for an approval", name=digest)
        if len(found) > 1:
            several = ", ".join(f"{each.code[:SHORT]} {_place(each)}" for each in found)
            reason = f"several begin with {digest!r}: {several}; give more, or --image, or --product"
            raise BadField(field="DIGEST", reason=reason)
        return found[0]

    def decide(self, seen: Approval, decision: Decision) -> Approval:
        """Grant what the steward saw, or revoke it. Raises `NotFound` where the request is gone meanwhile."""
        return self.store.decide(
            seen, decision, lambda session, decided: self.record.append(session, _entry(decided, decision))
        )


def _is_image(image: str, asked: str | None) -> bool:
    return asked is None or image.removeprefix("sha256:").startswith(asked.removeprefix("sha256:"))


def _entry(decided: Approval, decision: Decision) -> Entry:
    until = ""
    if decided.expires_ms is not None:
        until = f", until {datetime.fromtimestamp(decided.expires_ms / 1000, UTC).isoformat(timespec='seconds')}"
    what = f"for {', '.join(sorted(decided.granted))}{until}" if decision.grant else "revoked"
    return Entry(
        at_ms=decision.at_ms,
        kind="approval",
        decision="accepted" if decision.grant else "refused",
        principal=decision.by,
        digest=decided.code,
        reason=f"{_named(decided)}: {what}",
    )


def _place(each: Approval) -> str:
    return f"as {each.product}" if each.product else f"in image {short_image(each.image)}"


def _named(decided: Approval) -> str:
    if decided.product:
        return f"publishing the statement as {decided.product}"
    return f"the function {decided.name!r} in image {decided.image}"


def _ms(now: datetime) -> int:
    return int(now.timestamp() * 1000)
