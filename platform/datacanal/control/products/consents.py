"""Owners, who are at their sites: asked through what agents poll, and answered at the sites' door."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from datacanal.control.commands import CommandBox
from datacanal.control.desk import Desk
from datacanal.control.identity import Issuer, caller_authority
from datacanal.control.products.lineage import inputs_of, statement_of
from datacanal.control.products.ports import Publication
from datacanal.domain.errors import DatacanalError, NotFound, SiteUnreachable
from datacanal.protocol.problem import Problem, error_of
from datacanal.protocol.products import Consent
from datacanal.protocol.site import ConsentAnswer, ConsentCommand

ANSWER_WITHIN_S = 30.0


class OwnersAtSites:
    """`away` gives words about a site (of a tenant) that is away, None while it is connected. On one event loop."""

    def __init__(
        self, desk: Desk, commands: CommandBox, issuer: Issuer, away: Callable[[str, str], str | None]
    ) -> None:
        self._desk = desk
        self._commands = commands
        self._issuer = issuer
        self.absence = away
        self._asked: dict[str, tuple[str, asyncio.Future[Sequence[Consent]]]] = {}

    async def ask(self, publication: Publication, site: str) -> Sequence[Consent]:
        """The site's answer about each of its datasets. Raises its refusal, `SiteUnreachable` where none comes."""
        command = self._command(publication, site)
        answer: asyncio.Future[Sequence[Consent]] = asyncio.get_running_loop().create_future()
        self._asked[command.consent] = (site, answer)
        self._commands.post(site, command)
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                return _whole(publication, site, await answer)
        except TimeoutError:
            reason = f"it did not say within {ANSWER_WITHIN_S:.0f} s whether its owners agree"
            raise SiteUnreachable(site=site, reason=reason) from None
        finally:
            del self._asked[command.consent]
            self._commands.withdraw(site, command)

    def take(self, consent: str, site: str, said: ConsentAnswer) -> None:
        """What the site says. Raises `NotFound` where nobody waits for it."""
        answer = self._find(consent, site)
        if not answer.done():
            answer.set_result(said.consents)

    def refuse(self, consent: str, site: str, problem: Problem) -> None:
        """The site does not answer, and says why. Raises as `take` does."""
        answer = self._find(consent, site)
        if not answer.done():
            answer.set_exception(error_of(problem))

    def refuse_all(self, error: DatacanalError) -> None:
        """Let go of whoever waits, at the end."""
        for _, answer in self._asked.values():
            if not answer.done():
                answer.set_exception(error)

    def _find(self, consent: str, site: str) -> asyncio.Future[Sequence[Consent]]:
        asked, answer = self._asked.get(consent, (None, None))
        if answer is None or asked != site:
            raise NotFound(what="consent", name=consent)
        return answer

    def _command(self, publication: Publication, site: str) -> ConsentCommand:
        authority = caller_authority(publication.job, publication.publisher, site, self._desk.clock.now())
        return ConsentCommand(
            consent=self._desk.clock.new_id("con"),
            product=publication.product,
            version=publication.version,
            statement=statement_of(publication.job),
            plan=publication.plan,
            authority=self._issuer.signed(authority),
        )


def _whole(publication: Publication, site: str, consents: Sequence[Consent]) -> Sequence[Consent]:
    """The answer, if it is about exactly what was asked: a dataset that nobody spoke of has nobody's consent."""
    asked = {(given.lake, given.dataset) for given in inputs_of(publication.plan) if given.site == site}
    answered = [(consent.lake, consent.dataset) for consent in consents if consent.site == site]
    if sorted(answered) != sorted(asked) or len(answered) != len(consents):
        raise SiteUnreachable(site=site, reason="its answer is not about the datasets that it was asked about")
    return consents
