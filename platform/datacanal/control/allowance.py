"""Whether a job may read the data products that its plan reads, as far as its submitter's subscriptions have quotas."""

from __future__ import annotations

from sqlalchemy.orm import Session

from datacanal.control.desk import Desk
from datacanal.control.planner import Question
from datacanal.control.product_usage import amounts_of, estimated, readings, snapshots_of
from datacanal.domain.usage import Amounts, Terms
from datacanal.ledger.charging import check_quotas
from datacanal.ledger.kept import Kept
from datacanal.ledger.store import LedgerStore
from datacanal.ledger.subscribed import terms_at
from datacanal.ledger.tallies import Tallies
from datacanal.protocol.plan import Plan


class Allowance:
    """Looks at the book and reserves nothing: what a job then used is charged, whatever it is."""

    def __init__(self, desk: Desk, ledger: LedgerStore) -> None:
        self._desk = desk
        self._ledger = ledger

    def check(self, question: Question, plan: Plan) -> None:
        """Raises `QuotaExhausted` where what the plan is estimated to read of a product does not fit. Blocks."""
        found = readings(plan)
        if not found:
            return
        snapshots = self._desk.read_now(lambda session: snapshots_of(session, found))
        with self._ledger.reading_rows() as session:
            for reading in found:
                terms = terms_at(session, question.tenant, question.principal, reading.product, question.now)
                if terms is not None:
                    _check(
                        session, terms, amounts_of(reading, estimated(plan), snapshots.get(reading.snapshot)), question
                    )


def _check(session: Session, terms: Terms, asked: Amounts, question: Question) -> None:
    counted = Tallies(session.connection(), lambda: None, Kept()).counted(terms, question.now)
    check_quotas(counted, asked, question.now)
