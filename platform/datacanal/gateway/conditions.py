"""`…/condition`: what a reader should know of each session of a product."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta
from typing import Any

from datacanal.domain.access import Principal
from datacanal.domain.errors import NotFound
from datacanal.gateway.choosing import choose
from datacanal.gateway.parameters import wrong
from datacanal.gateway.view import Product, Release
from datacanal.products.calendars import calendar_of
from datacanal.products.condition import conditions_of
from datacanal.protocol.products import Freshness

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_DEFAULT_DAYS = 90
_MOST_DAYS = 366 * 100


def conditions(product: Product, caller: Principal, given: dict[str, str], now: datetime) -> dict[str, Any]:
    """From `from` to `to` (today where absent), both included, of the version that is asked for.

    Raises `NotFound` for a product whose rows do not come in sessions, and `InvalidParameters`.
    """
    choice = {name: value for name, value in given.items() if name not in ("from", "to")}
    release = choose(product, choice, caller, now)
    if release.manifest.session is None:
        raise NotFound(what="column of sessions in", name=product.name)
    last = _date(given, "to") or _today(product, now)
    first = _date(given, "from") or _days_before(last)
    if first > last:
        raise wrong("from", "it is after `to`", last.isoformat())
    if (last - first).days > _MOST_DAYS:
        raise wrong("from", f"more than {_MOST_DAYS} days are asked for", (last - timedelta(_MOST_DAYS)).isoformat())
    # A contract without freshness promises nothing that could still be on its way.
    promised = product.contract.model_copy(update={"freshness": product.contract.freshness or Freshness(at_most=0)})
    found = conditions_of(release.manifest, promised, _restated(product, release), now, first, last)
    return {
        "product": product.name,
        "version": release.version,
        "snapshot": release.snapshot,
        "from": first.isoformat(),
        "to": last.isoformat(),
        "sessions": [each.model_dump(mode="json") for each in found],
    }


def _today(product: Product, now: datetime) -> date:
    name = product.contract.calendar
    return calendar_of(name, now.date()).today(now) if name else now.date()


def _days_before(last: date) -> date:
    """Where the answer begins by itself; the calendar itself begins on its first day."""
    return last - min(timedelta(days=_DEFAULT_DAYS), last - date.min)


def _restated(product: Product, release: Release) -> set[date]:
    """The sessions that were written anew up to and by this version."""
    known = [each for each in product.restatements if _served(product, each.new_snapshot) <= release.served_at]
    return {date.fromisoformat(session[:10]) for each in known for session in each.sessions}


def _served(product: Product, snapshot: str) -> datetime:
    release = product.releases.get(snapshot)
    return release.served_at if release else product.created_at


def _date(given: dict[str, str], name: str) -> date | None:
    if name not in given:
        return None
    try:
        if _DATE.fullmatch(given[name]) is None:
            raise ValueError
        return date.fromisoformat(given[name])
    except ValueError:
        raise wrong(name, "a date is needed", "2026-03-31") from None
