"""What attempts said, asked of their sites when somebody wants to read it: passed on, and kept nowhere here."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pydantic import ValidationError

from datacanal.control.identity import Issuer
from datacanal.control.jobs import JobService
from datacanal.control.uploads import UploadRelay
from datacanal.domain.access import Principal
from datacanal.domain.errors import DatacanalError, ServiceBusy, SiteUnreachable
from datacanal.protocol.authority import Authority
from datacanal.protocol.problem import problem_of
from datacanal.protocol.public import AttemptView, JobLogs
from datacanal.protocol.words import AttemptWords, SiteWords

_AT_MOST_BYTES = 32 * 2**20
"""Of one site; a site lets out 4 MiB of words at most, and JSON writes some characters with six."""


@dataclass(frozen=True)
class WordsReader:
    """`absence` gives words about a site (of a tenant) that is away, None while it is connected."""

    jobs: JobService
    relay: UploadRelay
    issuer: Issuer
    absence: Callable[[str, str], str | None]

    async def logs(self, caller: Principal, job: str) -> JobLogs:
        """The job's logs with what each site releases of its attempts' words, or why it does not.

        Raises `NotFound`, and what the sites said where none of them lets anything out.
        """
        sayers = await self.jobs.sayers(caller, job)
        answers = await asyncio.gather(*(self._asked(authority) for authority in sayers.values()))
        heard = dict(zip(sayers, answers, strict=True))
        refusals = [answer for answer in answers if isinstance(answer, DatacanalError)]
        if refusals and len(refusals) == len(answers):
            raise refusals[0]
        logs = await self.jobs.logs(caller, job)
        return logs.model_copy(update={"attempts": [_with_words(view, heard) for view in logs.attempts]})

    async def _asked(self, authority: Authority) -> SiteWords | DatacanalError:
        site = authority.audience
        absence = self.absence(authority.tenant, site)
        if absence is not None:
            return SiteUnreachable(site=site, reason=absence)
        try:
            async with self.relay.words(site, authority.job, self.issuer.signed(authority)) as upload:
                return SiteWords.model_validate_json(await upload.whole(_AT_MOST_BYTES))
        except ValidationError:
            return ServiceBusy(reason=f"the answer of site {site} is of another version")
        except DatacanalError as error:
            return error


def _with_words(view: AttemptView, heard: Mapping[str, SiteWords | DatacanalError]) -> AttemptView:
    answer = heard.get(view.site)
    if isinstance(answer, DatacanalError):
        return view.model_copy(update={"kept": problem_of(answer)})
    said = answer.attempts if answer is not None else []
    words = next((item for item in said if (item.step, item.fence) == (view.step, view.fence)), None)
    return view if words is None else view.model_copy(update=_told(words))


def _told(words: AttemptWords) -> dict[str, object]:
    return {"said": words.said, "cut": words.cut, "kept": words.kept}
