"""Whether a version is about as long as the last one, and as new as its contract says. Both can be accepted."""

from __future__ import annotations

from datetime import UTC, date, datetime

from datacanal.domain.wording import counted
from datacanal.products.calendars import Calendar, calendar_of
from datacanal.products.manifest import Manifest
from datacanal.protocol.products import Check, Contract


def drift_check(contract: Contract, new: Manifest, old: Manifest | None) -> Check:
    """Held where the number of rows is further from the old one's than the contract's share of it."""
    if contract.drift is None:
        return Check(check="drift", outcome="skipped", says="The contract allows any number of rows.")
    if old is None:
        return Check(check="drift", outcome="skipped", says="There is no version to compare the number of rows with.")
    if old.rows == 0:
        return Check(check="drift", outcome="skipped", says=f"Version {old.version} has no rows to compare with.")
    share = (new.rows - old.rows) / old.rows
    found = f"{new.rows:,} rows after {old.rows:,} in version {old.version}, {share:+.1%}"
    if abs(share) <= contract.drift:
        return Check(check="drift", outcome="passed", says=f"{found}; up to {contract.drift:.0%} are expected.")
    says = f"{found}, where up to {contract.drift:.0%} are expected. Look at what the job read, or accept it."
    return Check(check="drift", outcome="held", says=says, acceptable=True)


def freshness_check(contract: Contract, new: Manifest, now: datetime) -> Check:
    """Held where the newest session is older than the contract allows, or in the future, or where there is none."""
    if contract.freshness is None:
        return Check(check="freshness", outcome="skipped", says="The contract does not say how old the data may be.")
    if not new.sessions:
        return _held(
            "No row has a session, so nothing is new enough. See whether the job's inputs arrived, or accept it."
        )
    newest = date.fromisoformat(new.sessions[-1].session)
    if contract.calendar is None:
        today = now.astimezone(UTC).date()
        return _judged(newest, today, (today - newest).days, contract.freshness.at_most, "day")
    return _by_calendar(newest, now, calendar_of(contract.calendar, now.date()), contract.freshness.at_most)


def _by_calendar(newest: date, now: datetime, calendar: Calendar, at_most: int) -> Check:
    today = calendar.today(now)
    if today > calendar.last:
        says = f"The sessions of {calendar.name} are known until {calendar.last} only; the operator must update them."
        return Check(check="freshness", outcome="skipped", says=says)
    behind = sum(newest < session for session in calendar.between(calendar.first, today))
    return _judged(newest, today, behind, at_most, "session", f" of {calendar.name}")


def _judged(newest: date, today: date, behind: int, at_most: int, unit: str, of: str = "") -> Check:
    if newest > today:
        says = (
            f"The newest session is {newest}, and today is {today}. Look at the dates that the job gives, or accept it."
        )
        return _held(says)
    found = f"The newest session is {newest}, {counted(behind, unit)}{of} behind {today}"
    if behind <= at_most:
        return Check(check="freshness", outcome="passed", says=f"{found}; up to {at_most} are expected.")
    return _held(f"{found}, where up to {at_most} are expected. See whether the job's inputs arrived, or accept it.")


def _held(says: str) -> Check:
    return Check(check="freshness", outcome="held", says=says, acceptable=True)
