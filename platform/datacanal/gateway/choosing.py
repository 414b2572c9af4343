"""Which version answers: the one asked for by instant, snapshot or channel, else the caller's own channel."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from datetime import UTC, datetime

from datacanal.domain.access import Principal
from datacanal.domain.errors import NotFound
from datacanal.domain.product_errors import InvalidParameter, InvalidParameters, NoVersion, SnapshotGone
from datacanal.gateway.view import Move, Product, Release

CHOICES = ("as_of", "snapshot", "channel")
_CHANNELS = ("stable", "canary")
_INSTANT = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d:\d\d)")


def choose(product: Product, given: Mapping[str, str], caller: Principal, now: datetime) -> Release:
    """The version that answers a request with these parameters of `CHOICES`.

    Raises `InvalidParameters`, `NoVersion`, `SnapshotGone`, and `NotFound` for a snapshot that was never served.
    """
    if len(given) > 1:
        raise _wrong(sorted(given)[1], f"only one of {', '.join(CHOICES)} can be given", "")
    match next(iter(given.items()), ("", "")):
        case ("as_of", text):
            return _as_of(product, _instant(text, now))
        case ("snapshot", snapshot):
            return by_snapshot(product, snapshot)
        case ("channel", channel):
            return _on_channel(product, channel)
    move = product.canary if product.canary and _tries(product.canary, product, caller) else _newest(product.stable)
    return _pointed(product, move, "stable", "")


def stable(product: Product) -> Release:
    """The stable version. Raises `NoVersion`."""
    return _pointed(product, _newest(product.stable), "stable", "")


def by_snapshot(product: Product, snapshot: str) -> Release:
    """The version of that snapshot, if a channel ever pointed at it."""
    release = product.releases.get(snapshot)
    if release is None:
        raise NotFound(what="snapshot", name=snapshot[:100])
    return _kept(product, release)


def _tries(canary: Move, product: Product, caller: Principal) -> bool:
    """Whether the caller is one of those who get the canary; the same answer for as long as its share stays."""
    if not canary.labels.isdisjoint(caller.groups):
        return True
    drawn = hashlib.sha256(f"{caller.tenant}\n{caller.name}\n{product.name}".encode()).digest()
    return int.from_bytes(drawn[:8]) < canary.share * 2**64


def _on_channel(product: Product, channel: str) -> Release:
    if channel not in _CHANNELS:
        raise _wrong("channel", "it is stable or canary", "canary" if channel[:1].lower() == "c" else "stable")
    move = product.canary if channel == "canary" else _newest(product.stable)
    return _pointed(product, move, channel, "")


def _as_of(product: Product, instant: datetime) -> Release:
    move = next((move for move in reversed(product.stable) if move.at <= instant), None)
    return _pointed(product, move, "stable", f" as of {_written(instant)}")


def _pointed(product: Product, move: Move | None, channel: str, when: str) -> Release:
    release = product.releases.get(move.snapshot) if move and move.snapshot else None
    if release is None:
        raise NoVersion(product=product.name, channel=channel, when=when)
    return _kept(product, release)


def _kept(product: Product, release: Release) -> Release:
    if not release.is_kept:
        raise SnapshotGone(snapshot=release.snapshot, product=product.name)
    return release


def _newest(moves: tuple[Move, ...]) -> Move | None:
    return moves[-1] if moves else None


def _instant(text: str, now: datetime) -> datetime:
    example = "2026-03-31T08:00:00Z"
    try:
        instant = datetime.fromisoformat(text) if _INSTANT.fullmatch(text) else None
        instant = instant.astimezone(UTC) if instant else None
    except (ValueError, OverflowError):
        instant = None
    if instant is None:
        reason = "an instant with its zone is needed, as 2026-03-31T08:00:00Z (a + in an address is written %2B)"
        raise _wrong("as_of", reason, example)
    if instant > now:
        raise _wrong("as_of", "the instant is in the future", _written(now.replace(microsecond=0)))
    return instant


def _written(instant: datetime) -> str:
    """As it can be given: the + of an offset would have to be escaped in an address."""
    return instant.isoformat().replace("+00:00", "Z")


def _wrong(field: str, reason: str, suggestion: str) -> InvalidParameters:
    return InvalidParameters([InvalidParameter(field=field, reason=reason, suggestion=suggestion)])
