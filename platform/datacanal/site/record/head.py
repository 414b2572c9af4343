"""The signed head of the record: how many entries there are and the hash of the last, so that a cut tail is found.

It stands in the database, saved with each entry, and in a file beside it, written after each commit: a database that
was put back to an older state no longer fits the file.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from datacanal.homes import write_secret
from datacanal.site.keys import is_signed_by

HEAD_FILE = "record.head"
_FILE_BYTES = 512
"""Written over in place and never longer or shorter: one sector is the old one or the new one, whatever fails."""


@dataclass(frozen=True)
class Head:
    """`signature` is the site's own, base64."""

    count: int
    hash: str
    signature: str

    def is_signed(self, site: str, public: str) -> bool:
        """Whether this site signed it. `public` is its key, base64."""
        return is_signed_by(public, head_text(site, self.count, self.hash), self.signature)


def head_text(site: str, count: int, last_hash: str) -> str:
    """What is signed."""
    return "\n".join(("datacanal record 1", site, str(count), last_hash))


def read_head(file: Path) -> Head | None:
    """The head in the file; None where there is no file. Raises `ValueError` for nonsense in it."""
    try:
        content = json.loads(file.read_bytes())
        return Head(int(content["count"]), str(content["hash"]), str(content["signature"]))
    except FileNotFoundError:
        return None
    except (TypeError, KeyError) as error:
        raise ValueError(str(error)) from None


def write_head(file: Path, head: Head) -> None:
    """Put the head into the file, made if need be."""
    content = json.dumps(asdict(head)).encode().ljust(_FILE_BYTES - 1) + b"\n"
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        write_secret(file, content)
        return
    try:
        os.pwrite(descriptor, content, 0)
    finally:
        os.close(descriptor)
