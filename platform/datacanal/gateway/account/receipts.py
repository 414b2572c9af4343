"""Routes of receipts and of the ledger: what a call came to, what proves it, and what corrects it."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request, Response

from datacanal.domain.access import Principal
from datacanal.gateway.account.services import Services
from datacanal.ledger.adjusting import Adjustments
from datacanal.ledger.receipts import find_receipt, latest_checkpoint
from datacanal.ledger.reconciling import reconcile
from datacanal.ledger.signing import ledger_key
from datacanal.protocol.receipts import (
    AdjustmentRequest,
    CheckpointView,
    LedgerKeyView,
    Receipt,
    ReconcileRequest,
    Reconciliation,
)
from datacanal.seals import fingerprint
from datacanal.serving.answers import answer
from datacanal.serving.bodies import read_document
from datacanal.serving.documents import json_body, problems

_MOST_NAMED_BYTES = 4 * 2**20
_SAME: dict[int | str, dict[str, Any]] = {200: {"model": Receipt, "description": "what this key corrected before"}}
IdempotencyKey = Annotated[
    str,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=100,
        pattern=r"^[!-~]+$",
        description="the same key with the same correction corrects once",
    ),
]
Proven = Annotated[bool, Query(description="with the way to the checkpoint, by which anybody can prove it")]


def receipt_routes(services: Services, caller: Any) -> APIRouter:
    """Receipts, their reconciliation, and the key that proves them."""
    router = APIRouter(prefix="/v1", tags=["receipts"])
    _add_receipts(router, services, caller)
    _add_ledger(router, services, caller)
    _add_adjustments(router, services, caller)
    return router


def _add_receipts(router: APIRouter, services: Services, caller: Any) -> None:
    @router.post(
        "/receipts/reconcile",
        response_model=Reconciliation,
        responses=problems(404, body=True),
        openapi_extra=json_body(ReconcileRequest),
    )
    async def compare(request: Request, principal: Principal = caller) -> Response:
        """Which of your receipts the ledger lacks, which of its events you did not name, and which figures differ."""
        wanted = await read_document(request, ReconcileRequest, _MOST_NAMED_BYTES)
        return answer(await asyncio.to_thread(reconcile, services.store, principal, wanted))

    @router.get("/receipts/{receipt}", response_model=Receipt, responses=problems(404))
    async def show(receipt: str, proof: Proven = False, principal: Principal = caller) -> Response:
        """What a call came to, and its checkpoint once it is sealed."""
        return answer(await asyncio.to_thread(find_receipt, services.store, principal, receipt, with_proof=proof))


def _add_ledger(router: APIRouter, services: Services, caller: Any) -> None:
    public = ledger_key(services.home).public
    key = LedgerKeyView(public=public, key=fingerprint(public))

    @router.get("/ledger/key", response_model=LedgerKeyView, responses=problems())
    async def show_key(_principal: Principal = caller) -> Response:
        """The public key that checkpoints are signed with."""
        return answer(key)

    @router.get("/ledger/checkpoints/latest", response_model=CheckpointView, responses=problems(404))
    async def show_latest(_principal: Principal = caller) -> Response:
        """The newest checkpoint: keep it, and nobody can change what was before it."""
        return answer(await asyncio.to_thread(latest_checkpoint, services.store))


def _add_adjustments(router: APIRouter, services: Services, caller: Any) -> None:
    def owner_of(tenant: str, product: str) -> str | None:
        known = services.views().products.get((tenant, product))
        return known.owner if known else None

    adjustments = Adjustments(services.store, owner_of, lambda: services.new_id("rcp"), services.now)

    @router.post(
        "/ledger/adjustments",
        status_code=201,
        response_model=Receipt,
        responses={**_SAME, **problems(404, 409, body=True)},
        openapi_extra=json_body(AdjustmentRequest),
    )
    async def adjust(request: Request, key: IdempotencyKey, principal: Principal = caller) -> Response:
        """Correct a call of your product: what it came to is never changed, an event of its own corrects it."""
        wanted = await read_document(request, AdjustmentRequest)
        made, is_new = await asyncio.to_thread(adjustments.adjust, principal, wanted, key)
        return answer(made, 201 if is_new else 200, Location=f"/v1/receipts/{made.id}")
