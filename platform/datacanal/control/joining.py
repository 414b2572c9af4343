"""Sites join: a one-time token lets a site's certificate in, and from then on the certificate proves the site."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import structlog
from sqlalchemy import delete, select

from datacanal.certificates import Certificate, read_site_certificate
from datacanal.control.changes import Change
from datacanal.control.desk import Desk
from datacanal.control.tokens import TokenBook
from datacanal.domain.access import Principal
from datacanal.domain.errors import JoinRefused, Unauthenticated
from datacanal.protocol.site import Join
from datacanal.state.models import SessionRow, SiteCertificateRow, SiteRow, TokenRow
from datacanal.state.tokens import why_ended

_log = structlog.get_logger()


@dataclass(frozen=True)
class Member:
    """A site as it may be spoken for: by whoever holds the key of this certificate."""

    tenant: str
    site: str
    certificate: Certificate

    @property
    def principal(self) -> Principal:
        return Principal(tenant=self.tenant, name=self.site, role="site")


class SiteBook:
    """The certificates of the sites, held in memory too: only this process ever changes them."""

    def __init__(self, desk: Desk, tokens: TokenBook) -> None:
        self._desk = desk
        self._tokens = tokens
        self._members: dict[str, Member] = {}
        self._certificates: tuple[str, ...] = ()

    def load(self) -> None:
        """Read the members from the store."""
        current = select(SiteCertificateRow).where(SiteCertificateRow.replaced_at.is_(None))
        rows = self._desk.read_now(lambda session: session.scalars(current).all())
        members = [Member(row.tenant, row.site, read_site_certificate(row.certificate)) for row in rows]
        self._members = {member.certificate.fingerprint: member for member in members}
        self._certificates = tuple(member.certificate.pem for member in members)

    def certificates(self) -> Iterable[str]:
        """The certificates (PEM) that count now; the same object for as long as nothing changes."""
        return self._certificates

    def member(self, fingerprint: str | None) -> Member:
        """Who speaks. Raises `Unauthenticated`, also for a certificate that was replaced while its connection lived."""
        member = self._members.get(fingerprint or "")
        if member is None:
            raise Unauthenticated(reason="this certificate is not, or no longer, that of a site that joined")
        return member

    async def join(self, secret: str, join: Join) -> Member:
        """Take the site in and use the token up; the same join again (its answer was lost) is answered again.

        Raises `JoinRefused` saying why.
        """
        token = self._tokens.known(secret)
        if token is None:
            raise JoinRefused(site=join.site, reason="the token is wrong")
        certificate = _certificate_in(join)

        def take_in(change: Change) -> TokenRow:
            return _take_in(change, token.id, certificate)

        self._tokens.renew(await self._desk.write(take_in))
        self.load()
        _log.info("site_joined", site=join.site, fingerprint=certificate.fingerprint, token=token.id)
        return self.member(certificate.fingerprint)

    def is_member(self, tenant: str, site: str, fingerprint: str) -> bool:
        """Whether the site joined, and with this key."""
        member = self._members.get(fingerprint)
        return member is not None and (member.tenant, member.site) == (tenant, site)

    def has_joined(self, tenant: str, site: str) -> bool:
        """Whether the site joined, with whatever key."""
        return any((member.tenant, member.site) == (tenant, site) for member in self._members.values())


def _certificate_in(join: Join) -> Certificate:
    try:
        certificate = read_site_certificate(join.certificate)
    except ValueError as error:
        raise JoinRefused(site=join.site, reason=f"its certificate: {error}") from None
    if certificate.site != join.site:
        raise JoinRefused(site=join.site, reason=f"its certificate is that of site {certificate.site!r}")
    return certificate


def _take_in(change: Change, token_id: str, certificate: Certificate) -> TokenRow:
    token = change.session.get_one(TokenRow, token_id)
    if token.role != "site" or token.name != certificate.site:
        whose = f"site {token.name!r}" if token.role == "site" else f"the role {token.role}"
        raise JoinRefused(site=certificate.site, reason=f"the token is for {whose}")
    current = change.session.scalars(select(SiteCertificateRow).where(SiteCertificateRow.replaced_at.is_(None))).all()
    own = [row for row in current if (row.tenant, row.site) == (token.tenant, certificate.site)]
    if any((row.token_id, row.fingerprint) == (token.id, certificate.fingerprint) for row in own):
        return token
    if ended := why_ended(token, change.clock.now()):
        raise JoinRefused(site=certificate.site, reason=ended)
    if any(row.fingerprint == certificate.fingerprint and row not in own for row in current):
        raise JoinRefused(site=certificate.site, reason="its key is that of another site")
    _replace(change, own, token, certificate)
    return token


def _replace(change: Change, own: Sequence[SiteCertificateRow], token: TokenRow, certificate: Certificate) -> None:
    now = change.clock.now()
    owner = {"tenant": token.tenant, "principal": certificate.site}
    for row in own:
        row.replaced_at = now
    if any(row.fingerprint != certificate.fingerprint for row in own):
        # Whoever still polls with the old key is told that its session is over.
        change.session.execute(delete(SessionRow).filter_by(tenant=token.tenant, site=certificate.site))
    change.session.add(
        SiteCertificateRow(
            site=certificate.site,
            fingerprint=certificate.fingerprint,
            certificate=certificate.pem,
            token_id=token.id,
            joined_at=now,
            replaced_at=None,
            **owner,
        )
    )
    if change.session.get(SiteRow, (token.tenant, certificate.site)) is None:
        change.session.add(SiteRow(name=certificate.site, **owner))
    token.used_at = now
