"""Pages from memory where they are hot, from one shared execution where they are not."""

from __future__ import annotations

from functools import partial

from datacanal.gateway.asked import Asked
from datacanal.gateway.cache import Cache
from datacanal.gateway.encoding import encoded
from datacanal.gateway.executions import Executions, Long, Whole
from datacanal.gateway.flights import Flights

_ENTRY_BYTES = 512
"""What an entry costs beside its body."""


class Pages:
    """Whole answers by what they are known by, in each encoding that was wanted. Belongs to one event loop."""

    def __init__(self, executions: Executions, capacity_bytes: int) -> None:
        self._executions = executions
        self._cache: Cache[Whole] = Cache(capacity_bytes)
        self._flights: Flights[Whole | Long] = Flights()

    def held(self, asked: Asked, encoding: str) -> Whole | None:
        """The answer, if it is in memory; its body in that encoding."""
        whole = self._cache.get((asked.digest, encoding))
        if whole is None and (plain := self._cache.get((asked.digest, "identity"))) is not None:
            return self.keep(asked, plain, encoding)
        return whole

    async def produced(self, asked: Asked) -> Whole | Long:
        """The answer in no encoding; a long one is claimed for the caller. Cancel when nobody waits any more."""
        while True:
            made = await self._flights.join(asked.digest, partial(self._executions.run, asked))
            if isinstance(made, Whole) or made.claim():
                return made

    def keep(self, asked: Asked, plain: Whole, encoding: str) -> Whole:
        """Hold the answer in that encoding, and give it so."""
        body = plain.body if encoding == "identity" else encoded(plain.body, encoding)
        whole = Whole(body, plain.usage)
        self._cache.put((asked.digest, encoding), whole, len(body) + _ENTRY_BYTES)
        return whole
