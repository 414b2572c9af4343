"""Python jobs for tests: a task of a function, and what a driver made of it."""

from __future__ import annotations

import base64
import hashlib
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import cloudpickle
import pyarrow as pa

from datacanal.protocol.plan import PlanColumn, PythonCode, PythonEnvironment
from datacanal.site.engine.python_task import GivenTable, PythonTask

HERE = f"{sys.version_info.major}.{sys.version_info.minor}"
ONE = {"n": "INTEGER"}


def code_of(function: object, *, python: str = HERE, packages: Mapping[str, str] | None = None) -> PythonCode:
    """The function must be made inside another one, so that it is pickled whole and not by the name of its module."""
    pickled = cloudpickle.dumps(function)
    return PythonCode(
        name=getattr(function, "__name__", "thing"),
        pickle=base64.b64encode(pickled).decode(),
        digest=hashlib.sha256(pickled).hexdigest(),
        source="",
        environment=PythonEnvironment(python=python, packages=dict(packages or {})),
    )


def task_of(
    function: Callable[..., object],
    columns: Mapping[str, str] | None = None,
    *,
    given: Sequence[GivenTable] = (),
    params: Mapping[str, Any] | None = None,
    scheduler: str = "",
    workers: int = 0,
    **environment: Any,
) -> PythonTask:
    return PythonTask(
        job="job_1",
        code=code_of(function, **environment),
        params=json.loads(json.dumps(params or {})),
        given=list(given),
        columns=dict(columns or ONE),
        scheduler=scheduler,
        workers=workers,
    )


def given(
    kind: str, name: str, form: str, files: Sequence[str], columns: Mapping[str, str], **partitions: str
) -> GivenTable:
    return GivenTable(
        kind=kind,
        name=name,
        format=form,
        files=list(files),
        columns=[PlanColumn(name=name, type=kind) for name, kind in columns.items()],
        partitions=partitions,
    )


@dataclass
class Heard:
    """Everything that came out of a driver. `why` is absent where it returned a table."""

    events: list[Any] = field(default_factory=list)
    stream: bytes = b""
    words: str = ""

    @property
    def why(self) -> str | None:
        return getattr(self.events[-1], "why", None)

    @property
    def table(self) -> pa.Table:
        assert self.events[-1].event == "returned", self.words
        table = pa.ipc.open_stream(self.stream).read_all()
        assert (table.num_rows, len(self.stream)) == (self.events[-1].rows, self.events[-1].bytes)
        return table
