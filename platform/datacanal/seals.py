"""What the ledger's public key proves: that a checkpoint is signed, and that a receipt leads to one."""

from __future__ import annotations

import hashlib
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from datacanal.domain.chain import FIELDS, digest, follow, instant
from datacanal.domain.checkpoint import Checkpoint
from datacanal.domain.metering_errors import ReceiptNotProven
from datacanal.protocol.receipts import Receipt

_TIMES = ("at", "reserved_at")


def fingerprint(public: str) -> str:
    """sha256 (hex) of the public key, by which checkpoints name it."""
    return hashlib.sha256(bytes.fromhex(public)).hexdigest()


def is_signed(checkpoint: Checkpoint, public: str) -> bool:
    """Whether the holder of the key signed it. Only one text is the signature: lower-case hex."""
    try:
        signature = bytes.fromhex(checkpoint.signature)
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(public)).verify(signature, checkpoint.signed_text.encode())
    except (InvalidSignature, ValueError):
        return False
    return signature.hex() == checkpoint.signature and checkpoint.key == fingerprint(public)


def verify_receipt(receipt: Receipt, public: str) -> None:
    """Prove by the ledger's public key (hex) that the receipt's event is under its checkpoint as it says.

    Needs nothing of the service. Raises `ReceiptNotProven`.
    """
    if receipt.checkpoint is None or receipt.proof is None:
        raise ReceiptNotProven(receipt=receipt.id, reason=f"it is {receipt.state} and has no proof yet")
    head = follow(receipt.proof.before, digest([_value(receipt, name) for name in FIELDS]))
    if head != receipt.hash:
        raise ReceiptNotProven(receipt=receipt.id, reason="its fields are not those of its hash")
    for other in receipt.proof.after:
        head = follow(head, other)
    checkpoint = Checkpoint(**receipt.checkpoint.model_dump())
    if head != checkpoint.head or (receipt.seq or 0) + len(receipt.proof.after) != checkpoint.count:
        raise ReceiptNotProven(receipt=receipt.id, reason="its proof does not lead to its checkpoint")
    if not is_signed(checkpoint, public):
        raise ReceiptNotProven(receipt=receipt.id, reason="its checkpoint is not signed by this key")


def _value(receipt: Receipt, name: str) -> Any:
    value = getattr(receipt, name)
    return instant(value) if name in _TIMES and value is not None else value
