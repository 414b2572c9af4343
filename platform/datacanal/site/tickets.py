"""Tickets: what lets one consumer fetch one output, minted and checked by the agent that holds it.

A ticket is worth nothing to whoever merely sees it: every fetch is signed with the key that the ticket names.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from pydantic import ValidationError

from datacanal.domain.errors import DatacanalError, TransferRefused
from datacanal.protocol.base import Document
from datacanal.protocol.plan import PlanColumn
from datacanal.site.keys import is_signed_by
from datacanal.site.record.entry import Entry, classes_of
from datacanal.site.store.models import OutputRow

WINDOW_S = 300
"""How far the clocks of two sites may differ; a signature is good for one fetch inside it."""
NONCE_EXPIRY_S = 2 * WINDOW_S
"""For how long a used nonce must be remembered, over restarts too: a proof may carry a time that is yet to come."""
_LONGEST_TIME = 11

IsNew = Callable[[str, float], bool]
"""Whether a nonce is used for the first time, at that time; it no longer is afterwards (see `NonceBook.use`)."""


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


def opened(text: str, seal: bytes) -> Ticket:
    """The ticket that this agent sealed, expired or not. Raises `TransferRefused` where it did not."""
    body, _, mark = text.partition(".")
    if not hmac.compare_digest(_sealed(body, seal).encode(), mark.encode()):
        raise TransferRefused(reason="the ticket was not made by this site")
    try:
        return Ticket.model_validate_json(base64.urlsafe_b64decode(body))
    except (ValidationError, ValueError):
        raise TransferRefused(reason="the ticket is of another version") from None


def fetch_text(output: str, range_: str, proof: Proof) -> str:
    """What a consumer signs: this output, this part of it, now, once."""
    ticket_digest = hashlib.sha256(proof.ticket.encode()).hexdigest()
    return "\n".join(("datacanal fetch 1", output, range_, ticket_digest, proof.time, proof.nonce))


def check_fetch(output: str, range_: str, proof: Proof, seal: bytes, is_new: IsNew, now_s: float) -> Ticket:
    """The ticket of a fetch that may go ahead. Raises `TransferRefused` saying why it may not."""
    ticket = opened(proof.ticket, seal)
    if ticket.expires_s <= now_s:
        raise TransferRefused(reason="the ticket expired")
    if ticket.output != output:
        raise TransferRefused(reason="the ticket is for another output")
    if not proof.time.isascii() or not proof.time.isdigit() or len(proof.time) > _LONGEST_TIME:
        raise TransferRefused(reason="the fetch does not say when it was made")
    if abs(int(proof.time) - now_s) > WINDOW_S:
        raise TransferRefused(reason=_clocks(ticket.consumer, int(proof.time), now_s))
    if not is_signed_by(ticket.key, fetch_text(output, range_, proof), proof.signature):
        raise TransferRefused(reason="the fetch is not signed by the consumer that the ticket names")
    if not is_new(proof.nonce, now_s):
        raise TransferRefused(reason="this fetch was made before")
    return ticket


def _clocks(consumer: str, there_s: float, here_s: float) -> str:
    there, here = (datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") for at_s in (there_s, here_s))
    return (
        f"the clocks of the two sites differ by more than {WINDOW_S} s: the fetch of site {consumer!r} says {there},"
        f" the clock of its sender {here}; set them right and run the job again"
    )


def refused_fetch(output: str, proof: Proof, seal: bytes, refusal: DatacanalError, now_s: float) -> Entry:
    """The record of a refused fetch. Job, step and consumer are known only from a ticket that this agent sealed."""
    reason = f"{refusal.code}: {refusal.detail} ({output})"
    at_ms = int(now_s * 1000)
    try:
        ticket = opened(proof.ticket, seal)
    except TransferRefused:
        return Entry(at_ms=at_ms, kind="transfer", decision="refused", reason=reason)
    return Entry(
        at_ms=at_ms,
        kind="transfer",
        decision="refused",
        job=ticket.job,
        step=ticket.step,
        fence=ticket.fence,
        receivers=(ticket.consumer,),
        digest=ticket.digest,
        reason=reason,
    )


def served_fetch(row: OutputRow, ticket: Ticket, now_s: float) -> Entry:
    """The record of a fetch that may go ahead. `bytes` are the whole output's; a fetch that goes on takes the rest."""
    columns = [PlanColumn.model_validate(column) for column in json.loads(row.columns)]
    return Entry(
        at_ms=int(now_s * 1000),
        kind="transfer",
        decision="served",
        tenant=row.tenant,
        principal=row.principal,
        job=row.job,
        step=row.step,
        fence=ticket.fence,
        receivers=(ticket.consumer,),
        plan_digest=row.plan_digest,
        policies={owner.lake: owner.policy for column in columns for owner in column.label.owners},
        columns=classes_of(columns),
        rows=row.rows,
        bytes=row.bytes,
        digest=row.digest,
        governed=any(column.label.is_governed for column in columns),
    )


def _encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode()


def _sealed(body: str, seal: bytes) -> str:
    return _encoded(hmac.digest(seal, body.encode(), "sha256"))
