"""API keys as texts: `dck_{live|test}_{id}_{secret}{crc}`, and what the book keeps of one."""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, cast

from datacanal.domain.metering_errors import KeyMalformed
from datacanal.homes import kept_key
from datacanal.ledger.entitled import KeyMode

PREFIX = "dck_"
_PEPPER = "keys.pepper"
_ID_DIGITS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's base 32: no I, L, O, U
_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_SECRET_BYTES, _ID_BYTES = 32, 10
_SECRET_LENGTH, _ID_LENGTH, _CHECK_LENGTH = 43, 16, 6
_SHAPE = re.compile(
    f"{PREFIX}(live|test)_([{_ID_DIGITS}]{{{_ID_LENGTH}}})"
    f"_([0-9A-Za-z]{{{_SECRET_LENGTH}}})([0-9A-Za-z]{{{_CHECK_LENGTH}}})"
)
_NOBODY = "0" * 64


class NewKey(NamedTuple):
    """A key that was just made: `text` is shown once, the others are kept."""

    id: str
    text: str
    digest: str
    last_four: str


@dataclass(frozen=True, slots=True)
class ParsedKey:
    """What stands in a key's text, whose check digits fit; whether it is anybody's is not known yet."""

    id: str
    mode: KeyMode
    secret: str

    def __repr__(self) -> str:
        return f"ParsedKey({self.id}, {self.mode})"


def new_key(pepper: bytes, mode: KeyMode, randomness: Callable[[int], bytes] = os.urandom) -> NewKey:
    """A key with a secret of 256 random bits."""
    number = _written(randomness(_ID_BYTES), _ID_DIGITS, _ID_LENGTH)
    secret = _written(randomness(_SECRET_BYTES), _DIGITS, _SECRET_LENGTH)
    body = f"{PREFIX}{mode}_{number}_{secret}"
    text = body + check_digits(body)
    return NewKey(number, text, digest_of(pepper, secret), text[-4:])


def parsed(text: str) -> ParsedKey:
    """The parts of a key. Raises `KeyMalformed` for what no key looks like, a mistyped one above all."""
    shape = _SHAPE.fullmatch(text)
    if shape is None or check_digits(text[:-_CHECK_LENGTH]) != shape[4]:
        raise KeyMalformed
    return ParsedKey(shape[2], cast("KeyMode", shape[1]), shape[3])


def digest_of(pepper: bytes, secret: str) -> str:
    """What the book has of a secret: HMAC-SHA256 under the home's pepper, as hex."""
    return hmac.new(pepper, secret.encode("ascii"), hashlib.sha256).hexdigest()


def is_secret_of(digest: str | None, given: str) -> bool:
    """Whether the secret of the `given` digest is that of the digest; as long in coming where there is none (None)."""
    return hmac.compare_digest(given, digest or _NOBODY)


def pepper_of(home: Path) -> bytes:
    """The pepper, made by whoever asks first; it is in the home and never in a database."""
    return kept_key(home, _PEPPER)


def check_digits(body: str) -> str:
    """What follows the secret: by it a mistyped key is told from a wrong one."""
    return _written(zlib.crc32(body.encode("ascii")).to_bytes(4, "big"), _DIGITS, _CHECK_LENGTH)


def _written(content: bytes, digits: str, length: int) -> str:
    number, base = int.from_bytes(content, "big"), len(digits)
    return "".join(digits[number // base**place % base] for place in reversed(range(length)))
