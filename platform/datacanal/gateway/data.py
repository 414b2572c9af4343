"""`…/data`: find the version, know the answer's ETag before anything is read, then answer in one of five formats.

A call under an Idempotency-Key that was used before is answered from the snapshot that it was answered from then.
"""

from __future__ import annotations

from collections.abc import Coroutine

from datacanal.domain.errors import DatacanalError, NotFound
from datacanal.domain.metering_errors import AnswerGone, QuotaExhausted, TooManyCalls
from datacanal.domain.product_errors import NoVersion, SnapshotGone
from datacanal.domain.usage import Terms
from datacanal.gateway.access import AccessRecord
from datacanal.gateway.answering import Answers, Order
from datacanal.gateway.asked import Asked, sample_of
from datacanal.gateway.bills import Bill
from datacanal.gateway.callers import Caller
from datacanal.gateway.calls import Answer, Call, problem_answer
from datacanal.gateway.choosing import stable
from datacanal.gateway.finding import Finder
from datacanal.gateway.leaving import ClientLeft
from datacanal.gateway.negotiation import Format, encoding_for, format_for
from datacanal.gateway.noting import Noted
from datacanal.gateway.pages import Pages
from datacanal.gateway.till import Till, conflict
from datacanal.gateway.usage_fields import left_fields
from datacanal.gateway.view import Product
from datacanal.ledger.charges import Replay


class DataRoute:
    """Answers calls of a product's data. Belongs to one event loop."""

    def __init__(self, pages: Pages, finder: Finder, access: AccessRecord, till: Till) -> None:
        self._answers = Answers(pages, till)
        self._finder = finder
        self._access = access
        self._till = till

    async def data(self, call: Call, product: Product, caller: Caller, terms: Terms) -> None:
        """Answer with the page that the address asks for, and charge it."""
        noted = Noted(self._access, call, product, caller, terms)
        await self._noted(call, noted, terms, self._charged(call, product, caller, terms, noted))

    async def sample(self, call: Call, product: Product, caller: Caller | None) -> None:
        """Answer with the first rows of the stable version, for nothing. Raises `NotFound` where none are shown."""
        rows = product.sample.rows
        if not rows:
            raise NotFound(what="sample of", name=product.name)
        noted = Noted(self._access, call, product, caller, None)
        await self._noted(call, noted, None, self._shown(call, product, rows, noted))

    async def _noted(
        self, call: Call, noted: Noted, terms: Terms | None, answering: Coroutine[None, None, None]
    ) -> None:
        """Answer the call, and take it down whatever came of it."""
        try:
            await answering
        except NoVersion:  # there may be one by now: whoever called decides
            raise
        except DatacanalError as error:
            answer = problem_answer(error)
            noted.write(answer.status)
            await call.answer(await self._with_what_is_left(answer, error, terms))
        except ClientLeft:
            noted.write(499)
        except TimeoutError:  # it takes nothing any more; without an end the connection breaks
            noted.write(499)

    async def _with_what_is_left(self, answer: Answer, error: DatacanalError, terms: Terms | None) -> Answer:
        if terms is None or not isinstance(error, QuotaExhausted | TooManyCalls):
            return answer
        return Answer(answer.status, [*answer.headers, *left_fields(await self._till.left(terms))], answer.body)

    async def _shown(self, call: Call, product: Product, rows: int, noted: Noted) -> None:
        form, encoding = _wanted(call)
        noted.asked = asked = sample_of(product.name, stable(product), rows, form)
        await self._answers.answer(Order(call, asked, encoding, noted, None, None))

    async def _charged(self, call: Call, product: Product, caller: Caller, terms: Terms, noted: Noted) -> None:
        """Whoever turns out to have been charged under its Idempotency-Key is answered as it was then."""
        form, encoding = _wanted(call)
        bill = self._till.bill(call, product, caller, terms)
        before = await self._till.earlier(bill) if bill.is_keyed else None
        while True:
            noted.asked = asked = self._asked(call, product, caller, form, bill, before)
            before = await self._answers.answer(Order(call, asked, encoding, noted, bill, before))
            if before is None:
                return

    def _asked(
        self, call: Call, product: Product, caller: Caller, form: Format, bill: Bill, before: Replay | None
    ) -> Asked:
        unit = bill.terms.unit
        if before is None:
            return self._finder.by_address(call.query, product, caller.principal, form, unit)
        try:
            asked = self._finder.pinned(call.query, product, form, unit, before.snapshot)
        except (SnapshotGone, NotFound):
            raise AnswerGone(snapshot=before.snapshot, receipt=before.receipt) from None
        if asked.question != before.query:
            raise conflict(bill)
        return asked


def _wanted(call: Call) -> tuple[Format, str]:
    """The format and the encoding that the caller wants."""
    form = format_for(call.header(b"accept") or "")
    encoding = "identity" if form is Format.PARQUET else encoding_for(call.header(b"accept-encoding") or "")
    return form, encoding
