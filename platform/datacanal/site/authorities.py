"""The agent's own look at who asks: the submitter's authority, signed by the issuer that the site pinned.

What the control plane says of a submitter counts for nothing; this text does, if it is for this very site, job and plan
and for now.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from datacanal.domain.access import PERMITTED, Action
from datacanal.domain.errors import AuthorityRefused
from datacanal.protocol.authority import Authority, read_body
from datacanal.protocol.site import Lease
from datacanal.site.keys import is_signed_by

SKEW_S = 300
"""How far the clocks of site and issuer may differ."""
_TEXT_AT_MOST = 64 * 1024
_STANDARD = str.maketrans("-_", "+/")


@dataclass(frozen=True)
class Authorities:
    """`issuer` gives the pinned public key (base64) of whoever signs for this site's control plane."""

    site: str
    issuer: Callable[[], str]
    clock: Callable[[], datetime]

    def of_lease(self, lease: Lease) -> Authority:
        """The submitter's word for this lease. Raises `AuthorityRefused` where lease and authority differ."""
        authority = self.verified(lease.authority)
        told = {
            "job": (lease.job, authority.job),
            "plan": (lease.plan_digest, authority.plan),
            "tenant": (lease.tenant, authority.tenant),
            "principal": (lease.principal, authority.principal),
            "purpose": (lease.purpose, authority.purpose),
        }
        for name, (leased, asked) in told.items():
            if leased != asked:
                raise self.refusal(f"the lease names the {name} {leased!r}, the submitter's authority {asked!r}")
        if authority.role not in PERMITTED[Action.SUBMIT_JOBS]:
            raise self.refusal(f"the role {authority.role!r} may not submit jobs")
        return authority

    def verified(self, text: str) -> Authority:
        """What the issuer signed for this site and for now. Raises `AuthorityRefused`."""
        body, dot, signature = text.partition(".")
        if not dot or len(text) > _TEXT_AT_MOST:
            raise self.refusal("there is no authority of the submitter")
        if not is_signed_by(self.issuer(), body, signature.translate(_STANDARD)):
            raise self.refusal("it is not signed by the issuer that this site pinned")
        try:
            authority = read_body(body)
        except ValueError:
            raise self.refusal("the authority is of another version") from None
        if authority.audience != self.site:
            raise self.refusal(f"the authority is for site {authority.audience!r}")
        self._check_time(authority)
        return authority

    def refusal(self, reason: str) -> AuthorityRefused:
        """The error to raise."""
        return AuthorityRefused(site=self.site, reason=reason)

    def _check_time(self, authority: Authority) -> None:
        now_s = self.clock().timestamp()
        if authority.issued_s > now_s + SKEW_S:
            issued, here = _instant(authority.issued_s), _instant(now_s)
            raise self.refusal(f"it was issued at {issued}, and here it is {here}: set the clocks of both machines")
        if authority.expires_s < now_s - SKEW_S:
            raise self.refusal(f"it expired at {_instant(authority.expires_s)}, and here it is {_instant(now_s)}")


def _instant(seconds: float) -> str:
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError, OSError):
        return f"second {seconds:.0f}"
