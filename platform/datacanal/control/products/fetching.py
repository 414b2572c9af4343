"""The result of a job as its submitter would fetch it: through its site's gate, relayed, and checked by its digest."""

from __future__ import annotations

import asyncio
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from datacanal.control.clock import Clock
from datacanal.control.identity import Issuer, caller_authority
from datacanal.control.jobs import ResultPlace
from datacanal.control.products.lineage import plan_of
from datacanal.control.uploads import RelayBroken, Upload, UploadRelay
from datacanal.domain.access import Principal
from datacanal.domain.errors import ServiceBusy
from datacanal.state.models import JobRow


@dataclass(frozen=True)
class RelayedResults:
    """Fetches with the rights of the job's submitter, whose the result is."""

    relay: UploadRelay
    issuer: Issuer
    clock: Clock

    async def fetch(self, job: JobRow, file: Path) -> None:
        """Write the whole result as Parquet. Raises what the site says, and `ServiceBusy` where it broke off."""
        place = self._place(job)
        async with self.relay.requested(place, "parquet", 0, self.issuer.signed(place.authority)) as upload:
            head = await upload.head()
            try:
                digest = await _written(upload, file)
            except RelayBroken:
                raise ServiceBusy(reason=f"site {place.site} broke off") from None
        if digest != head.digest:
            raise ServiceBusy(reason=f"the result from site {place.site} arrived damaged")

    def _place(self, job: JobRow) -> ResultPlace:
        plan = plan_of(job)
        site = plan.step(plan.result_step).site
        submitter = Principal(job.tenant, job.principal, job.role, tuple(json.loads(job.groups)))
        return ResultPlace(job.id, site, caller_authority(job, submitter, site, self.clock.now()))


async def _written(upload: Upload, file: Path) -> str:
    """The sha256 (hex) of what came. The length is the relay's to check."""
    digest = hashlib.sha256()
    with file.open("wb") as stream:
        async for chunk in upload.chunks():
            digest.update(chunk)
            await asyncio.to_thread(stream.write, chunk)
    return digest.hexdigest()
