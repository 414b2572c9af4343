"""The parts of schedules, put together."""

from __future__ import annotations

from dataclasses import dataclass

from datacanal.control.desk import Desk
from datacanal.control.jobs import JobService
from datacanal.control.products.versions import VersionBook
from datacanal.control.schedules.book import ScheduleBook
from datacanal.control.schedules.carrying import Carrier
from datacanal.control.schedules.keeper import ScheduleKeeper
from datacanal.control.schedules.versions import ScheduledVersions


@dataclass(frozen=True)
class Schedules:
    """What the routes use, and the part that runs beside them."""

    book: ScheduleBook
    keeper: ScheduleKeeper


def build_schedules(desk: Desk, jobs: JobService, versions: VersionBook) -> Schedules:
    """Put the parts together over the desk."""
    carrier = Carrier(desk, jobs, ScheduledVersions(desk, versions))
    return Schedules(ScheduleBook(desk, jobs), ScheduleKeeper(desk, carrier))
