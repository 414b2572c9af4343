"""What the release train needs of others: owners' answers, a result's bytes, and a workshop for snapshots.

`testing.product_fakes` has one of each for tests.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from datacanal.domain.access import Principal
from datacanal.products.building.orders import BuildOrder, Built, CheckOrder, Comparison
from datacanal.protocol.plan import Plan
from datacanal.protocol.products import Consent, Report
from datacanal.state.models import JobRow


@dataclass(frozen=True)
class Publication:
    """What owners are asked about: this version of this product, made of that job, for `publisher`."""

    publisher: Principal
    product: str
    version: str
    snapshot: str
    job: JobRow
    plan: Plan


class Owners(Protocol):
    """Those who decide what becomes of their datasets; one per site."""

    def absence(self, tenant: str, site: str) -> str | None:
        """Words about a site that cannot be asked now; None for one that can."""
        ...

    async def ask(self, publication: Publication, site: str) -> Sequence[Consent]:
        """The answer about each dataset of that site that the job read. Raises the site's refusal to answer."""
        ...


class Results(Protocol):
    """The results of jobs, which lie at sites."""

    async def fetch(self, job: JobRow, file: Path) -> None:
        """Write the whole result as Parquet. Raises what the site says, and `ServiceBusy` where it broke off."""
        ...


class Workshop(Protocol):
    """Makes snapshots and compares them: `products.builder.Builder`. Every order may be given again after a crash."""

    async def build(self, order: BuildOrder) -> Built:
        """The snapshot, finished on disk; the one that is there where it was made before."""
        ...

    async def check(self, order: CheckOrder) -> Report:
        """What the contract says of a snapshot that was built, the replay of requests included."""
        ...

    async def compare(self, old: Path, new: Path) -> Comparison:
        """What differs between two snapshots' folders, row by row."""
        ...
