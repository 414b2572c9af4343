"""Keeps the lake of data products as the control plane tells it: a promotion is a dataset's new snapshot."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import structlog

from datacanal.domain.errors import DatacanalError
from datacanal.site.control_link import ControlLink
from datacanal.site.lakes.registry import LakeRegistry
from datacanal.site.policy.book import PolicyBook
from datacanal.site.policy.model import Policy

_log = structlog.get_logger()


@dataclass(frozen=True)
class ProductWatch:
    """Of a site with that lake, or of one without (`lake` is None), where there is nothing to watch."""

    link: ControlLink
    lakes: LakeRegistry
    book: PolicyBook
    lake: str | None
    _one: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def changed(self) -> bool:
        """Ask, and take over what is told; True where that changes something. What cannot be asked now stays."""
        if self.lake is None:
            return False
        async with self._one:
            try:
                told = await self.link.products()
            except DatacanalError as error:
                _log.info("products_not_told", code=error.code)
                return False
            return await asyncio.to_thread(self.lakes.share, self.lake, told, self._put_in_force)

    def _put_in_force(self, policy: Policy) -> None:
        if self.lake is not None and self.book.replace(self.lake, policy):
            _log.info("policy_in_force", lake=self.lake, digest=policy.digest)
