"""Checkpoints: signed words about the book's end, each naming the one before it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, fields

from datacanal.domain.chain import BEGINNING

SCHEME = "datacanal.checkpoint.v1"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The book's first `count` events end in the hash `head`.

    `at` is an instant as `chain.instant` writes it, `previous` the sha256 of the previous signature, `key` the
    sha256 of the public key; `signature` (Ed25519, hex) is of `signed_text`.
    """

    number: int
    count: int
    head: str
    at: str
    previous: str
    key: str
    signature: str = ""

    @property
    def signed_text(self) -> str:
        """What is signed."""
        said = (SCHEME, self.number, self.count, self.head, self.at, self.previous, self.key)
        return "\n".join(map(str, said))

    @property
    def line(self) -> str:
        """The checkpoint as a line of the copy, with its end."""
        return json.dumps(asdict(self), separators=(",", ":")) + "\n"

    @property
    def mark(self) -> str:
        """What the next one calls `previous`."""
        return hashlib.sha256(self.signature.encode()).hexdigest()


FIRST_MARK = BEGINNING
"""What the first checkpoint calls `previous`."""
_TYPES = {"number": int, "count": int}


def read_line(line: str) -> Checkpoint | None:
    """The checkpoint that the line is of, or nothing: a line is read only in the form that it is written in."""
    try:
        found = json.loads(line)
        if not isinstance(found, dict) or any(
            type(found.get(field.name)) is not _TYPES.get(field.name, str) for field in fields(Checkpoint)
        ):
            return None
        checkpoint = Checkpoint(**found)
    except (ValueError, TypeError, RecursionError):
        return None
    return checkpoint if checkpoint.line == line else None
