"""What a Python job's function is given as its first argument."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from distributed import Client

from datacanal.site.engine.given import Around, Given
from datacanal.site.engine.job_cluster import JobSettings
from datacanal.site.engine.job_duckdb import users_connection
from datacanal.site.engine.own_cluster import OwnCluster
from datacanal.site.engine.python_task import PythonTask
from datacanal.site.engine.voice import Voice

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


class NotDeclared(LookupError):
    """The function asks for a table that its job does not name."""


class Context:
    """`params` are the job's parameters as the function got them."""

    def __init__(
        self,
        task: PythonTask,
        params: Mapping[str, Any],
        settings: JobSettings,
        cluster: OwnCluster,
        voice: Voice,
    ) -> None:
        self.job = task.job
        self.params = MappingProxyType(dict(params))
        self._settings = settings
        self._cluster = cluster
        self._voice = voice
        around = Around(lambda: self._connection, cluster.client_if_any)
        self._given = {(table.kind, table.name): Given(table, Path(settings.stage), around) for table in task.given}

    def dataset(self, name: str) -> Given:
        """A dataset by the name it was declared with, `lake.dataset`. Raises `NotDeclared`."""
        return self._find("dataset", name)

    def input(self, name: str) -> Given:
        """An input by the name it was declared with. Raises `NotDeclared`."""
        return self._find("input", name)

    @property
    def client(self) -> Client:
        """The client of the job's own Dask cluster; waits until its workers have joined."""
        return self._cluster.client()

    def progress(self, fraction: float) -> None:
        """How far the job is, from 0 to 1. It leaves the site; what is sent more often than needed is left out."""
        self._voice.progress(fraction)

    def log(self, message: object) -> None:
        """Write a line to the job's words, which stay at the site."""
        print(message, file=sys.stderr, flush=True)  # noqa: T201  # standard error is where words go

    @cached_property
    def _connection(self) -> DuckDBPyConnection:
        return users_connection(self._settings)

    def _find(self, kind: Literal["dataset", "input"], name: str) -> Given:
        if found := self._given.get((kind, name)):
            return found
        declared = ", ".join(sorted(known for known_kind, known in self._given if known_kind == kind)) or "none"
        raise NotDeclared(f"The job declares no {kind} {name!r}. It declares: {declared}.")
