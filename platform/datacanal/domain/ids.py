"""Identifiers that sort by the time they were made: a prefix, 48 bits of milliseconds and 80 random bits."""

from __future__ import annotations

from datetime import datetime

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's base 32: no I, L, O, U
_PAIRS = tuple(first + second for first in _ALPHABET for second in _ALPHABET)
_SHIFTS = tuple(range(120, -1, -10))
RANDOM_BYTES = 10


def new_id(prefix: str, now: datetime, randomness: bytes) -> str:
    """`prefix_` and 26 characters; ids made in a later millisecond sort later. Takes `RANDOM_BYTES` random bytes."""
    if len(randomness) != RANDOM_BYTES:
        raise ValueError(f"{RANDOM_BYTES} random bytes are needed, not {len(randomness)}")
    milliseconds = int(now.timestamp() * 1000)
    number = (milliseconds << (8 * RANDOM_BYTES)) | int.from_bytes(randomness, "big")
    return f"{prefix}_{''.join([_PAIRS[(number >> shift) & 1023] for shift in _SHIFTS])}"


def id_pattern(prefix: str) -> str:
    """A regular expression that the ids of this prefix match."""
    return f"^{prefix}_[{_ALPHABET}]{{{2 * len(_SHIFTS)}}}$"
