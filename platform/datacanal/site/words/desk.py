"""Answers the control plane when somebody asks what attempts said."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

import structlog

from datacanal.domain.errors import DatacanalError
from datacanal.protocol.problem import problem_of
from datacanal.protocol.site import LogCommand
from datacanal.site.control_link import ControlLink
from datacanal.site.words.gate import WordsGate

_log = structlog.get_logger()


@dataclass(frozen=True)
class WordsDesk:
    """The gate for words, and the way out."""

    gate: WordsGate
    link: ControlLink

    async def send(self, command: LogCommand) -> None:
        """Upload what the gate releases, or say why it stays."""
        try:
            words = await asyncio.to_thread(self.gate.released, command)
            content = words.model_dump_json().encode()
            digest = hashlib.sha256(content).hexdigest()
            await self.link.upload(command.upload, _whole(content), offset=0, length=len(content), digest=digest)
        except DatacanalError as error:
            _log.warning("words_kept", upload=command.upload, job=command.job, code=error.code)
            await self._refuse(command, error)

    async def _refuse(self, command: LogCommand, error: DatacanalError) -> None:
        try:
            await self.link.refuse(command.upload, problem_of(error))
        except DatacanalError as refused:  # nobody waits for it any more, or nobody is there to be told
            _log.warning("refusal_undelivered", upload=command.upload, code=refused.code)


async def _whole(content: bytes) -> AsyncIterator[bytes]:
    yield content
