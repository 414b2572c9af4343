"""Tickets: what lets one consumer fetch one output, minted and checked by the agent that holds it.

A ticket is worth nothing to whoever merely sees it: every fetch is signed with the key that the ticket names.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import dataclass, field

from pydantic import ValidationError

from datacanal.domain.errors import TransferRefused
from datacanal.protocol.base import Document
from datacanal.site.keys import is_signed_by

WINDOW_S = 300
"""How far the clocks of two sites may differ; a signature is good for one fetch inside it."""
_NONCES_AT_MOST = 1_000_000


class Ticket(Document):
    """What the sender promises to whom: `key` is the consumer's Ed25519 public key, `expires_s` Unix seconds."""

    job: str
    step: str
    fence: int
    output: str
    digest: str
    consumer: str
    key: str
    expires_s: int


@dataclass(frozen=True)
class Proof:
    """The headers with which a consumer proves that a fetch is its own and new."""

    ticket: str
    time: str
    nonce: str
    signature: str


def mint(ticket: Ticket, seal: bytes) -> str:
    """The sealed text of a ticket."""
    body = _encoded(ticket.model_dump_json().encode())
    return f"{body}.{_sealed(body, seal)}"


def opened(text: str, seal: bytes, now_s: float) -> Ticket:
    """The ticket that this agent sealed. Raises `TransferRefused` where it did not, or it is too late."""
    body, _, mark = text.partition(".")
    if not hmac.compare_digest(_sealed(body, seal).encode(), mark.encode()):
        raise TransferRefused(reason="the ticket was not made by this site")
    try:
        ticket = Ticket.model_validate_json(base64.urlsafe_b64decode(body))
    except (ValidationError, ValueError):
        raise TransferRefused(reason="the ticket is of another version") from None
    if ticket.expires_s <= now_s:
        raise TransferRefused(reason="the ticket expired")
    return ticket


def fetch_text(output: str, range_: str, proof: Proof) -> str:
    """What a consumer signs: this output, this part of it, now, once."""
    ticket_digest = hashlib.sha256(proof.ticket.encode()).hexdigest()
    return "\n".join(("datacanal fetch 1", output, range_, ticket_digest, proof.time, proof.nonce))


@dataclass
class SeenNonces:
    """Remembers for the length of the window which signatures were used."""

    _until_s: dict[str, float] = field(default_factory=dict)

    def use(self, nonce: str, now_s: float) -> bool:
        """Whether the nonce is new; it no longer is afterwards."""
        while self._until_s and (oldest := next(iter(self._until_s.items())))[1] <= now_s:
            del self._until_s[oldest[0]]
        if nonce in self._until_s or len(self._until_s) >= _NONCES_AT_MOST:
            return False
        self._until_s[nonce] = now_s + 2 * WINDOW_S
        return True


def check_fetch(output: str, range_: str, proof: Proof, seal: bytes, seen: SeenNonces, now_s: float) -> Ticket:
    """The ticket of a fetch that may go ahead. Raises `TransferRefused` saying why it may not."""
    ticket = opened(proof.ticket, seal, now_s)
    if ticket.output != output:
        raise TransferRefused(reason="the ticket is for another output")
    if not proof.time.isascii() or not proof.time.isdigit() or abs(int(proof.time[:20]) - now_s) > WINDOW_S:
        raise TransferRefused(reason=f"the clocks of the two sites differ by more than {WINDOW_S} s")
    if not is_signed_by(ticket.key, fetch_text(output, range_, proof), proof.signature):
        raise TransferRefused(reason="the fetch is not signed by the consumer that the ticket names")
    if not seen.use(proof.nonce, now_s):
        raise TransferRefused(reason="this fetch was made before")
    return ticket


def _encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode()


def _sealed(body: str, seal: bytes) -> str:
    return _encoded(hmac.digest(seal, body.encode(), "sha256"))
