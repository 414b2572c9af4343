"""Routes of invoices and credit notes."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response

from datacanal.domain.access import Action
from datacanal.domain.months import month_named
from datacanal.gateway.account.asking import Allowed, allowed_by, made_by
from datacanal.gateway.account.paging import LIMIT, Cursor, Limit, page_of, slice_of
from datacanal.gateway.account.services import Services
from datacanal.gateway.account.usage import InMonth, OfAccount, month_asked
from datacanal.gateway.invoice_formats import invoice_answer
from datacanal.ledger.asking import Asker
from datacanal.ledger.invoice_book import Invoices
from datacanal.protocol.money import CloseRequest, CreditRequest, Invoice, InvoiceList, InvoiceReceipts
from datacanal.serving.answers import answer
from datacanal.serving.bodies import read_document
from datacanal.serving.documents import json_body, problems

_PATH = "/v1/invoices"
_FORMATS: dict[int | str, dict[str, Any]] = {
    200: {"model": Invoice, "content": {"text/csv": {}, "text/html": {}}, "description": "the invoice"}
}
Line = Annotated[int, Path(ge=1, le=2**31)]
After = Annotated[int, Query(ge=0, le=2**62, description="from `next`")]
Many = Annotated[int, Query(ge=1, le=1000, description="how many at most")]


def invoice_routes(services: Services, caller: Any) -> APIRouter:
    """See invoices and what they are made of; close periods and issue credit notes."""
    router = APIRouter(prefix=_PATH, tags=["invoices"])
    invoices = Invoices(services.store, made_by(services))
    allowed = allowed_by(services, caller)
    _add_closing(router, invoices, allowed)
    _add_listing(router, services, invoices, allowed(Action.READ_USAGE))
    _add_showing(router, invoices, allowed(Action.READ_USAGE))
    return router


def _add_listing(router: APIRouter, services: Services, invoices: Invoices, reading: Any) -> None:
    @router.get("", response_model=InvoiceList, responses=problems())
    def list_invoices(
        period: InMonth = None, limit: Limit = LIMIT, cursor: Cursor = None, asker: Asker = reading
    ) -> Response:
        """Invoices and credit notes of the caller's account, and of the products that the caller publishes."""
        given = {"period": period}
        part = slice_of(limit, cursor, given)
        shown, more = invoices.list_slice(asker, None if period is None else month_named(period), part)
        return answer(InvoiceList(invoices=shown, next=page_of(_PATH, part, given, shown, more).next))

    @router.get("/preview", response_model=InvoiceList, responses=problems(404))
    def preview(period: InMonth = None, account: OfAccount = None, asker: Asker = reading) -> Response:
        """What the invoices of a month would say if it ended now."""
        found = invoices.preview(asker, account, month_asked(services, period))
        return answer(InvoiceList(invoices=found, next=None))


def _add_showing(router: APIRouter, invoices: Invoices, reading: Any) -> None:
    @router.get("/{invoice}", responses={**_FORMATS, **problems(404, 406)})
    def show(invoice: str, request: Request, asker: Asker = reading) -> Response:
        """One of them, as JSON, CSV or a page to be printed."""
        return invoice_answer(invoices.show(asker, invoice), request.headers.get("accept"))

    @router.get("/{invoice}/lines/{line}/receipts", response_model=InvoiceReceipts, responses=problems(404))
    def receipts(invoice: str, line: Line, after: After = 0, limit: Many = 100, asker: Asker = reading) -> Response:
        """The events that a line is made of."""
        return answer(invoices.receipts(asker, invoice, line, after, limit))


def _add_closing(router: APIRouter, invoices: Invoices, allowed: Allowed) -> None:
    closing, crediting = allowed(Action.CLOSE_PERIODS), allowed(Action.CREDIT_INVOICES)

    @router.post(
        "/close",
        response_model=InvoiceList,
        responses=problems(409, body=True),
        openapi_extra=json_body(CloseRequest),
    )
    async def close(request: Request, asker: Asker = closing) -> Response:
        """Issue the invoices of a month that is over; twice changes nothing."""
        wanted = await read_document(request, CloseRequest)
        issued = await asyncio.to_thread(invoices.close, asker, month_named(wanted.period))
        return answer(InvoiceList(invoices=issued, next=None))

    @router.post(
        "/{invoice}/credit-notes",
        status_code=201,
        response_model=Invoice,
        responses=problems(404, 409, body=True),
        openapi_extra=json_body(CreditRequest),
    )
    async def credit(request: Request, invoice: str, asker: Asker = crediting) -> Response:
        """A credit note of what was corrected since the invoice and its earlier credit notes."""
        wanted = await read_document(request, CreditRequest)
        note = await asyncio.to_thread(invoices.credit, asker, invoice, wanted.reason)
        return answer(note, 201, Location=f"{_PATH}/{note.id}")
