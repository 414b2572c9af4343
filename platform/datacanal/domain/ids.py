"""Identifiers that sort by the time they were made: a prefix, 48 bits of milliseconds and 80 random bits."""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's base 32: no I, L, O, U."""
RANDOM_BYTES = 10
RANDOM_LENGTH = 16
_TIME_LENGTH = 10
_PAIRS = tuple(first + second for first in ALPHABET for second in ALPHABET)


def new_id(prefix: str, now: datetime, randomness: bytes) -> str:
    """`prefix_` and 26 characters; ids made in a later millisecond sort later. Takes `RANDOM_BYTES` random bytes."""
    if len(randomness) != RANDOM_BYTES:
        raise ValueError(f"{RANDOM_BYTES} random bytes are needed, not {len(randomness)}")
    return id_ending(prefix, now, _written(int.from_bytes(randomness, "big"), RANDOM_LENGTH))


def id_ending(prefix: str, now: datetime, ending: str) -> str:
    """The same, of a random ending that is written already: `RANDOM_LENGTH` characters of the alphabet."""
    return f"{prefix}_{_time_text(int(now.timestamp() * 1000))}{ending}"


def id_pattern(prefix: str) -> str:
    """A regular expression that the ids of this prefix match."""
    return f"^{prefix}_[{ALPHABET}]{{{_TIME_LENGTH + RANDOM_LENGTH}}}$"


@lru_cache(64)
def _time_text(milliseconds: int) -> str:
    return _written(milliseconds, _TIME_LENGTH)


def _written(number: int, length: int) -> str:
    return "".join([_PAIRS[(number >> shift) & 1023] for shift in range(5 * (length - 2), -1, -10)])
