"""Schedules of the service, as its API has them."""

from __future__ import annotations

from urllib.parse import quote

from datacanal.client.connection import Connection
from datacanal.client.requests import checked
from datacanal.protocol.products import (
    CatchUp,
    ScheduleList,
    ScheduleRequest,
    ScheduleRun,
    ScheduleRunList,
    ScheduleView,
)
from datacanal.protocol.public import JobRequest


class Schedules:
    """Jobs that are submitted by themselves; `client.requests` makes the job of a statement or a function."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def create(
        self,
        name: str,
        cron: str,
        job: JobRequest,
        *,
        timezone: str = "UTC",
        calendar: str | None = None,
        catch_up: CatchUp = "last",
        product: str | None = None,
        promote: bool = False,
    ) -> ScheduleView:
        """A new schedule. Raises whatever is wrong with it, its job's plan included."""
        request = checked(
            ScheduleRequest,
            name=name,
            cron=cron,
            timezone=timezone,
            calendar=calendar,
            catch_up=catch_up,
            job=job,
            product=product,
            promote=promote,
        )
        return self._connection.post(ScheduleView, "/v1/schedules", request, repeatable=False)

    def every(self) -> list[ScheduleView]:
        """One's own, by name."""
        return self._connection.get(ScheduleList, "/v1/schedules").schedules

    def show(self, name: str) -> ScheduleView:
        return self._connection.get(ScheduleView, _path(name))

    def runs(self, name: str, limit: int = 100) -> list[ScheduleRun]:
        """The newest first."""
        return self._connection.get(ScheduleRunList, f"{_path(name)}/runs", {"limit": str(limit)}).runs

    def pause(self, name: str) -> ScheduleView:
        """Nothing comes due until it is resumed; what runs goes on."""
        return self._connection.post(ScheduleView, f"{_path(name)}/pause", None)

    def resume(self, name: str) -> ScheduleView:
        """Times come due again; those of the pause are not made up for."""
        return self._connection.post(ScheduleView, f"{_path(name)}/resume", None)

    def run(self, name: str) -> ScheduleRun:
        """Due now, whatever the cron says."""
        return self._connection.post(ScheduleRun, f"{_path(name)}/run", None, repeatable=False)

    def remove(self, name: str) -> None:
        """Forget it and its runs; a job of it that runs goes on."""
        self._connection.call("DELETE", _path(name))


def _path(name: str) -> str:
    return f"/v1/schedules/{quote(name, safe='')}"
