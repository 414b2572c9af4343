"""Builders: a process for each order about snapshots, one at a time, so that their memory is bounded."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TypeVar

from datacanal.domain.errors import DatacanalError, error_classes
from datacanal.domain.product_errors import BuildFailed
from datacanal.lifeline import spawn
from datacanal.products.building.orders import (
    Answer,
    AnyOrder,
    Assignment,
    BuildOrder,
    Built,
    CheckOrder,
    CompareOrder,
    Comparison,
    Replay,
    ReplayOrder,
)
from datacanal.protocol.base import Document
from datacanal.protocol.problem import Problem, error_of
from datacanal.protocol.products import Report

_MODULE = "datacanal.products.building"
_Result = TypeVar("_Result", bound=Document)


class Builder:
    """Takes orders from one event loop; whoever is cancelled takes the process of the order along.

    `scratch` is where sorting spills, a folder of this builder alone; each order's process may use `memory_bytes`.
    """

    def __init__(self, scratch: Path, memory_bytes: int, threads: int = 2) -> None:
        self._scratch = scratch.absolute()
        self._memory_bytes = memory_bytes
        self._threads = threads
        self._turn = asyncio.Lock()

    def clear(self) -> None:
        """Remove what orders of an earlier process left in the scratch folder. Call it before the first order."""
        if self._scratch.exists():
            shutil.rmtree(self._scratch)

    async def build(self, order: BuildOrder) -> Built:
        """The snapshot's manifest, once it is in the store.

        Raises `BadField` for columns that no product can be made of, `BuildOutOfMemory`, `BuildOutOfDisk`, and
        `BuildFailed` for everything else.
        """
        return await self._carried_out(order, Built)

    async def check(self, order: CheckOrder) -> Report:
        """What the contract says of a snapshot. Raises as `build` does."""
        return await self._carried_out(order, Report)

    async def compare(self, old: Path, new: Path) -> Comparison:
        """What differs between two snapshots' folders. Raises as `build` does."""
        return await self._carried_out(CompareOrder(old=old, new=new), Comparison)

    async def replay(self, old: Path, new: Path, queries: list[str]) -> Replay:
        """What became of the answers to these requests. Raises as `build` does."""
        return await self._carried_out(ReplayOrder(old=old, new=new, queries=queries), Replay)

    async def _carried_out(self, order: AnyOrder, result: type[_Result]) -> _Result:
        async with self._turn:
            self._scratch.mkdir(mode=0o700, parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=self._scratch) as spill:
                answer = await _asked(self._assignment(order, Path(spill)))
        if answer.problem is not None:
            raise _raised_there(answer.problem)
        return result.model_validate(answer.result)

    def _assignment(self, order: AnyOrder, spill: Path) -> Assignment:
        return Assignment(order=order, memory_bytes=self._memory_bytes, threads=self._threads, spill=spill)


async def _asked(assignment: Assignment) -> Answer:
    """The answer of a process of its own. Raises `BuildFailed` if it dies."""
    child = spawn(_MODULE, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    talk = asyncio.create_task(asyncio.to_thread(child.communicate, assignment.model_dump_json().encode() + b"\n"))
    try:
        line, _ = await asyncio.shield(talk)
    except asyncio.CancelledError:
        child.kill()
        await talk
        raise
    if child.returncode != 0 or not line:
        raise BuildFailed(reason=_end_of(child.returncode))
    return Answer.model_validate_json(line)


def _end_of(code: int) -> str:
    if code < 0:
        return f"its process was ended by signal {-code}"
    return f"its process ended with the code {code}; its last words are in the service's log"


def _raised_there(problem: Problem) -> DatacanalError:
    """The error as its own class, so that callers can tell them apart."""
    known = {cls.code: cls for cls in error_classes()}
    cls = known.get(problem.code)
    return error_of(problem) if cls is None else cls(**problem.data)
