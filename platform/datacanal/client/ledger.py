"""Receipts and the ledger as clients see them: `Client.ledger`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from urllib.parse import quote

from datacanal.client.connection import Connection
from datacanal.client.requests import checked
from datacanal.protocol.receipts import (
    AdjustmentRequest,
    CheckpointView,
    LedgerKeyView,
    NamedReceipt,
    Receipt,
    ReconcileRequest,
    Reconciliation,
)


class Ledger:
    """Every method is one call; it raises the service's problem as an error of the tree."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def receipt(self, receipt: str, *, proof: bool = True) -> Receipt:
        """What a call came to; once sealed with its proof."""
        query = {"proof": "true"} if proof else None
        return self._connection.get(Receipt, f"/v1/receipts/{quote(receipt, safe='')}", query)

    def verify(self, receipt: Receipt | str, public_key: str | None = None) -> Receipt:
        """Prove a receipt by the public key (hex), which is best had from elsewhere; without one this service is asked.

        Raises `ReceiptNotProven`.
        """
        # Only who proves something needs what signatures are verified with.
        from datacanal.seals import verify_receipt

        found = self.receipt(receipt) if isinstance(receipt, str) else receipt
        verify_receipt(found, public_key or self.key().public)
        return found

    def key(self) -> LedgerKeyView:
        """The public key that the service says it signs with."""
        return self._connection.get(LedgerKeyView, "/v1/ledger/key")

    def latest_checkpoint(self) -> CheckpointView:
        """The newest checkpoint."""
        return self._connection.get(CheckpointView, "/v1/ledger/checkpoints/latest")

    def reconcile(
        self,
        receipts: Sequence[str | NamedReceipt],
        *,
        period: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        account: str | None = None,
    ) -> Reconciliation:
        """Which receipts the ledger lacks, which of its events were not given, and which figures differ."""
        request = checked(
            ReconcileRequest, receipts=list(receipts), period=period, since=since, until=until, account=account
        )
        return self._connection.post(Reconciliation, "/v1/receipts/reconcile", request)

    def adjust(self, receipt: str, reason: str, *, idempotency_key: str | None = None, **amounts: Any) -> Receipt:
        """Correct a call by `units`, `rows`, `calls`, `bytes` or `compute_ms`; negative ones give back."""
        request = checked(AdjustmentRequest, receipt=receipt, reason=reason, **amounts)
        return self._connection.submit(Receipt, "/v1/ledger/adjustments", request, key=idempotency_key)
