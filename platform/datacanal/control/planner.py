"""Statements to plans, over the catalogue as it is now."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Protocol

from pydantic import JsonValue

from datacanal.control.catalogue import CatalogueBook, Known
from datacanal.control.commands import Refresher
from datacanal.control.presence import Presence
from datacanal.domain.errors import DatasetNotFound, ScanBudgetExceeded
from datacanal.protocol.plan import Plan
from datacanal.protocol.public import PythonRequest

_REFRESH_WAIT_S = 2.0
_COMPILERS = 4


@dataclass(frozen=True)
class Question:
    """What shall be planned, for whom and what for. `now` is the job's one instant.

    With a function there is no `sql`.
    """

    tenant: str
    sql: str
    params: Mapping[str, JsonValue]
    now: datetime
    principal: str = ""
    groups: Sequence[str] = ()
    purpose: str | None = None
    python: PythonRequest | None = None


@dataclass(frozen=True)
class Compiled:
    """A plan, and the version of the catalogue that it holds for."""

    plan: Plan
    version: int


class Compiler(Protocol):
    """Turns statements into plans. Both methods may block."""

    def compile(self, question: Question, known: Known, connected: frozenset[str]) -> Plan:
        """The plan over what is known. Raises the statement's errors."""
        ...

    def in_words(self, plan: Plan) -> str:
        """The plan for people."""
        ...


class Planner:
    """Compiles in threads of its own. Close it when done.

    `check_quotas` raises what keeps a plan from being carried out; it may block.
    """

    def __init__(
        self,
        compiler: Compiler,
        catalogue: CatalogueBook,
        presence: Presence,
        refresher: Refresher,
        scan_bytes_per_job: int | None,
        check_quotas: Callable[[Question, Plan], None],
    ) -> None:
        self._compiler = compiler
        self._catalogue = catalogue
        self._presence = presence
        self._refresher = refresher
        self._scan_bytes_per_job = scan_bytes_per_job
        self._check_quotas = check_quotas
        self._threads = ThreadPoolExecutor(_COMPILERS, "planner")

    async def plan(self, question: Question) -> Compiled:
        """The plan. A dataset that nobody knows is looked for at the sites once before it is refused."""
        try:
            return await self._plan_once(question)
        except DatasetNotFound:
            await self._refresher.refresh(question.tenant, None, _REFRESH_WAIT_S)
            return await self._plan_once(question)

    def is_fresh(self, compiled: Compiled, tenant: str) -> bool:
        """Whether nothing was reported since it was made."""
        return compiled.version == self._catalogue.known(tenant).version

    def in_words(self, plan: Plan) -> str:
        """The plan for people."""
        return self._compiler.in_words(plan)

    async def _plan_once(self, question: Question) -> Compiled:
        known = self._catalogue.known(question.tenant)
        work = partial(self._checked, question, known, self._presence.connected_sites())
        plan = await asyncio.get_running_loop().run_in_executor(self._threads, work)
        return Compiled(plan, known.version)

    def _checked(self, question: Question, known: Known, connected: frozenset[str]) -> Plan:
        plan = self._compiler.compile(question, known, connected)
        self._check_scan(plan)
        self._check_quotas(question, plan)
        return plan

    def _check_scan(self, plan: Plan) -> None:
        limit = self._scan_bytes_per_job
        estimated = sum(step.estimate.scanned_bytes for step in plan.steps)
        if limit is not None and estimated > limit:
            raise ScanBudgetExceeded(estimated_bytes=estimated, limit_bytes=limit)

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
