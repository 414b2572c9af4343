"""Answers the control plane when somebody wants to publish."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import structlog

from datacanal.domain.errors import DatacanalError
from datacanal.protocol.problem import problem_of
from datacanal.protocol.site import ConsentCommand
from datacanal.site.consents import ConsentGate
from datacanal.site.control_link import ControlLink

_log = structlog.get_logger()


@dataclass(frozen=True)
class ConsentDesk:
    """The owners' gate, and the way to who asks."""

    gate: ConsentGate
    link: ControlLink

    async def answer(self, command: ConsentCommand) -> None:
        """Say what the owners decide, or why they cannot be asked."""
        try:
            said = await asyncio.to_thread(self.gate.answer, command)
            await self.link.consent(command.consent, said)
        except DatacanalError as error:
            _log.warning("consent_not_given", consent=command.consent, product=command.product, code=error.code)
            await self._refuse(command, error)

    async def _refuse(self, command: ConsentCommand, error: DatacanalError) -> None:
        try:
            await self.link.refuse_consent(command.consent, problem_of(error))
        except DatacanalError as refused:  # nobody waits for it any more, or nobody is there to be told
            _log.warning("refusal_undelivered", consent=command.consent, code=refused.code)
