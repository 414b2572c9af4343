"""What functions find at this site, as far as it is known."""

from __future__ import annotations

from datacanal.domain.errors import DatacanalError
from datacanal.protocol.plan import PythonEnvironment
from datacanal.site.fleet.python_host import PythonHost


class ImageWatch:
    """The environment of the image that functions run in; None where there is none, or none is known yet."""

    def __init__(self, host: PythonHost | None) -> None:
        self.environment: PythonEnvironment | None = None
        self._host = host

    async def changed(self) -> bool:
        """Look again. An engine that is away changes nothing."""
        if self._host is None:
            return False
        try:
            found = (await self._host.image(None)).environment
        except DatacanalError:
            return False
        before, self.environment = self.environment, found
        return found != before
