"""What an answer's head says of its charge: receipt, usage, what is left (draft-ietf-httpapi-ratelimit-headers)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from datacanal.domain.usage import Amounts
from datacanal.gateway.calls import Header, Headers
from datacanal.gateway.executions import Usage
from datacanal.gateway.heads import next_fields
from datacanal.ledger.charges import Charged, Left, Replay

_WARN_SHARE = 0.8


def charged_fields(charged: Charged) -> Headers:
    """Of a whole answer that was charged now."""
    return [_receipt(charged.receipt), _usage(charged.amounts, charged.units), *left_fields(charged.left)]


def replayed_fields(replay: Replay) -> Headers:
    """Of a whole answer that was paid before: what it came to then."""
    return [_receipt(replay.receipt), _usage(replay.amounts, replay.units), _REPLAYED]


def free_fields(usage: Usage) -> Headers:
    """Of an answer that costs nothing."""
    return [_usage(Amounts(0, usage.rows, usage.bytes, 0), 0)]


def reserved_fields(reserved: Charged, usage: Usage | None) -> Headers:
    """Of a stream; `usage` where it is known before."""
    amounts = reserved.amounts
    text = f"calls={amounts.calls}, rows={amounts.rows}"
    head = [_receipt(reserved.receipt), (b"datacanal-reserved", text.encode())]
    return [*head, *known_fields(usage), *left_fields(reserved.left)]


def replayed_stream_fields(replay: Replay, usage: Usage | None) -> Headers:
    """Of a stream that was paid before."""
    return [_receipt(replay.receipt), *known_fields(usage), _REPLAYED]


def known_fields(usage: Usage | None) -> Headers:
    """What of a stream is known before its end, which is not its time, nor therefore its units."""
    if usage is None:
        return []
    text = f"calls=1, rows={usage.rows}, bytes={usage.bytes}"
    return [(b"datacanal-usage", text.encode()), *next_fields(usage)]


def left_fields(left: Sequence[Left]) -> Headers:
    """RateLimit-Policy and RateLimit, and a warning of quotas that are nearly or altogether used up."""
    if not left:
        return []
    now = ", ".join([f'"{each.name}";r={each.remaining};t={each.reset_s}' for each in left])
    fields = [
        (b"ratelimit-policy", _policy(tuple([(each.name, each.amount, each.window_s, each.unit) for each in left]))),
        (b"ratelimit", now.encode()),
    ]
    if warned := [each for each in left if each.share > (1.0 if each.soft else _WARN_SHARE) and each.name != "burst"]:
        fields.append((b"datacanal-warning", ", ".join(map(_warning, warned)).encode()))
    return fields


@lru_cache(4096)
def _policy(quotas: tuple[tuple[str, int, int, str], ...]) -> bytes:
    return ", ".join(
        f'"{name}";q={amount};w={window_s}' + (f';dc-unit="{unit}"' if unit else "")
        for name, amount, window_s, unit in quotas
    ).encode()


def _warning(left: Left) -> str:
    soft = ";soft" if left.soft else ""
    return f'"{left.name}";used={int(left.share * 100)}{soft}'


_REPLAYED = (b"idempotency-replayed", b"true")


def _receipt(receipt: str) -> Header:
    return b"datacanal-receipt", receipt.encode()


def _usage(amounts: Amounts, units: int) -> Header:
    text = (
        f"calls={amounts.calls}, rows={amounts.rows}, bytes={amounts.bytes}, compute_ms={amounts.compute_ms}, "
        f"units={units}"
    )
    return b"datacanal-usage", text.encode()
