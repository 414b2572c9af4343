"""Pages from memory where they are hot, from one shared execution where they are not."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from datacanal.gateway.asked import Asked
from datacanal.gateway.cache import Cache
from datacanal.gateway.calls import Headers
from datacanal.gateway.encoding import encoded
from datacanal.gateway.executions import Executions, Long, Usage, Whole
from datacanal.gateway.flights import Flights
from datacanal.gateway.heads import page_head

_ENTRY_BYTES = 2048
"""What an entry costs beside its body."""


@dataclass(frozen=True, slots=True)
class Page:
    """A whole answer in one encoding, and what the head says of it."""

    body: bytes
    usage: Usage
    head: Headers


class Pages:
    """Whole answers by what they are known by, in each encoding that was wanted. Belongs to one event loop."""

    def __init__(self, executions: Executions, capacity_bytes: int) -> None:
        self._executions = executions
        self._cache: Cache[Page] = Cache(capacity_bytes)
        self._flights: Flights[Whole | Long] = Flights()

    def held(self, asked: Asked, encoding: str) -> Page | None:
        """The answer, if it is in memory."""
        page = self._cache.get((asked.digest, encoding))
        if page is None and (plain := self._cache.get((asked.digest, "identity"))) is not None:
            return self.keep(asked, plain, encoding)
        return page

    async def produced(self, asked: Asked) -> Whole | Long:
        """The answer in no encoding; a long one is claimed for the caller. Cancel when nobody waits any more."""
        while True:
            made = await self._flights.join(asked.digest, partial(self._executions.run, asked))
            if isinstance(made, Whole) or made.claim():
                return made

    def keep(self, asked: Asked, plain: Whole | Page, encoding: str) -> Page:
        """Hold the answer in that encoding, and give it so."""
        body = plain.body if encoding == "identity" else encoded(plain.body, encoding)
        page = Page(body, plain.usage, page_head(asked, encoding, len(body), plain.usage))
        self._cache.put((asked.digest, encoding), page, len(body) + _ENTRY_BYTES)
        return page
