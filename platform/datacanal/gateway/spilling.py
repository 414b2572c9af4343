"""Tokens and keys where none belongs: what stands in an address is repeated in answers, links and logs on the way."""

from __future__ import annotations

import re

from datacanal.domain.errors import BadRequest

_SECRET = re.compile(rb"dct_[0-9a-f]{4,}_[0-9a-f]{16,}|dck_(live|test)_[0-9A-Za-z]{4,}_[0-9A-Za-z]{16,}")


def check_no_token(said: bytes) -> None:
    """Raise `BadRequest`, which does not repeat it, where the text has the secret of a token or of an API key in it."""
    if _SECRET.search(said):
        raise BadRequest(
            reason="it has a token or an API key outside the Authorization header. Send it there alone, and revoke "
            "this one: others may have read it on its way"
        )
