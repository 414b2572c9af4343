"""Who is at the other end: the consumers that a step's output is for, and the outputs that it is made from.

Keys are those that the owner pinned, whatever the control plane says.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from pydantic import TypeAdapter

from datacanal.domain.errors import OutputLost
from datacanal.protocol.plan import PlanColumn, Step, Transfer, TransferInput
from datacanal.protocol.site import Consumer, Lease, Offer
from datacanal.site.step_shape import refused
from datacanal.site.store.models import OutputRow

_OUTPUT = re.compile(r"^[A-Za-z0-9_]{1,64}$", re.ASCII)
_SHA256 = re.compile(r"^[0-9a-f]{64}$", re.ASCII)
_COLUMNS: TypeAdapter[list[PlanColumn]] = TypeAdapter(list[PlanColumn])
_AGAIN = "Run the job again: the plan is then made from what the sites have now."


class Pins(Protocol):
    """The other sites as the owner pinned them; `Peers` is the real one."""

    def key_of(self, site: str) -> str:
        """The site's Ed25519 public key, base64. Raises `PeerUnknown`."""
        ...


class OwnOutputs(Protocol):
    """What this site made for earlier steps; `WorkStore` is the real one."""

    def output_of(self, job: str, step: str, plan_digest: str) -> OutputRow | None: ...


def check_consumers(lease: Lease, step: Step, site: str, pins: Pins) -> None:
    """Whoever shall fetch the output is planned to, reads it as what it is, and proves itself by its pinned key.

    Raises `StepRefused` or `PeerUnknown`.
    """
    planned = {(move.to_step, move.to_site) for move in _moves_from(lease, step, site)}
    named = [(consumer.step, consumer.site) for consumer in lease.consumers]
    if len(set(named)) != len(named) or set(named) != planned:
        raise refused(site, f"plan and lease disagree about who gets the output of step {step.id}")
    for consumer in lease.consumers:
        _check_consumer(consumer, lease, step, site)
        if consumer.public_key != pins.key_of(consumer.site):
            raise refused(site, f"the consumer's key is not the one that is pinned for site {consumer.site!r}")


def _moves_from(lease: Lease, step: Step, site: str) -> list[Transfer]:
    moves = [move for move in lease.plan.transfers if move.from_step == step.id]
    if any(move.from_site != site or move.to_site == site for move in moves):
        raise refused(site, f"the output of step {step.id} does not move from site to site")
    return moves


def _check_consumer(consumer: Consumer, lease: Lease, step: Step, site: str) -> None:
    reader = next((other for other in lease.plan.steps if other.id == consumer.step), None)
    takes = [
        item
        for item in (reader.inputs if reader is not None else [])
        if isinstance(item, TransferInput) and item.from_step == step.id
    ]
    if reader is None or reader.site != consumer.site or not takes:
        raise refused(site, f"step {consumer.step!r} of site {consumer.site!r} does not read step {step.id}")


def arriving(lease: Lease, step: Step, site: str, pins: Pins) -> dict[str, Offer]:
    """The offers, one for each step of another site that this one reads. Raises `StepRefused` or `PeerUnknown`."""
    senders = {sender.id: sender for sender in _senders(lease, step) if sender.site != site}
    offers = {offer.step: offer for offer in lease.inputs}
    if len(offers) != len(lease.inputs) or set(offers) != set(senders):
        raise refused(site, "the lease does not offer exactly what the step reads")
    for sender in senders.values():
        _check_move(lease, sender, step, site)
        _check_offer(offers[sender.id], sender, site)
        pins.key_of(sender.site)
    return offers


def at_hand(lease: Lease, step: Step, site: str, outputs: OwnOutputs) -> dict[str, Path]:
    """The files of the steps of this very site that the step reads: made for the same job, plan and user.

    Raises `OutputLost` where one is not there any more, and `StepRefused`.
    """
    senders = [sender for sender in _senders(lease, step) if sender.site == site]
    return {sender.id: _own(lease, sender, site, outputs) for sender in senders}


def _own(lease: Lease, sender: Step, site: str, outputs: OwnOutputs) -> Path:
    row = outputs.output_of(lease.job, sender.id, lease.plan_digest)
    if row is None or not Path(row.path).is_file():
        raise OutputLost(step=sender.id, site=site)
    if (row.tenant, row.principal, row.is_result) != (lease.tenant, lease.principal, False):
        raise refused(site, f"the output of step {sender.id} belongs to somebody else")
    if _COLUMNS.validate_json(row.columns) != sender.columns:
        raise refused(site, f"the columns of step {sender.id} are not those that it has")
    return Path(row.path)


def _senders(lease: Lease, step: Step) -> list[Step]:
    wanted = {item.from_step for item in step.inputs if isinstance(item, TransferInput)}
    return [other for other in lease.plan.steps if other.id in wanted]


def _check_move(lease: Lease, sender: Step, step: Step, site: str) -> None:
    moves = [move for move in lease.plan.transfers if (move.from_step, move.to_step) == (sender.id, step.id)]
    if [(move.from_site, move.to_site) for move in moves] != [(sender.site, site)]:
        raise refused(site, f"the transfer from step {sender.id} is not declared once in the plan")


def _check_offer(offer: Offer, sender: Step, site: str) -> None:
    if offer.site != sender.site:
        raise refused(site, f"plan and offer disagree about where step {sender.id} ran")
    if offer.columns != sender.columns:
        raise refused(site, f"the columns of step {sender.id} are not those that were planned", _AGAIN)
    if not _OUTPUT.match(offer.output) or not _SHA256.match(offer.digest) or offer.bytes < 0 or offer.rows < 0:
        raise refused(site, f"the offer of step {sender.id} names no output")
    _check_address(offer, site)


def _check_address(offer: Offer, site: str) -> None:
    try:
        parts = urlsplit(offer.url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise refused(site, f"the address of the output {offer.output} is none") from None
    wanted = f"/v1/transfers/{offer.output}"
    if parts.scheme != "https" or not host or "@" in parts.netloc or (parts.path, parts.query, parts.fragment) != (
        wanted, "", "",
    ):  # fmt: skip
        raise refused(site, f"the address of the output {offer.output} is none of an exchange")
