"""Every policy that was ever in force at this site, and since when."""

from __future__ import annotations

import json
from itertools import pairwise

from sqlalchemy import Engine, Index, String, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from datacanal.site.policy.book import PolicyVersion
from datacanal.site.policy.model import Policy
from datacanal.site.store.models import SITE_ITSELF, Base
from datacanal.storage.tables import COUNTER, Owned


class PolicyVersionRow(Owned, Base):
    """A policy that came into force at an instant, and stayed until the lake's next one did."""

    __tablename__ = "policy_versions"
    __table_args__ = (Index(None, "lake"),)

    seq: Mapped[int] = mapped_column(COUNTER, primary_key=True, autoincrement=True)
    lake: Mapped[str] = mapped_column(String(64))
    digest: Mapped[str] = mapped_column(String(64))
    document: Mapped[str]
    valid_from_ms: Mapped[int]


class PolicyStore:
    """Rows are only ever added: a record names a digest, and what it meant must be found for as long as the record."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def keep(self, lake: str, policy: Policy, now_ms: int) -> None:
        """Note that the policy is in force from now on, unless it is already."""
        newest = select(PolicyVersionRow.digest).where(PolicyVersionRow.lake == lake)
        newest = newest.order_by(PolicyVersionRow.seq.desc()).limit(1)
        with Session(self._engine) as session, session.begin():
            if session.scalar(newest) == policy.digest:
                return
            document = json.dumps(policy.document, ensure_ascii=False)
            session.add(
                PolicyVersionRow(
                    lake=lake, digest=policy.digest, document=document, valid_from_ms=now_ms, **SITE_ITSELF
                )
            )

    def versions(self, lake: str) -> list[PolicyVersion]:
        """Every version of the lake, the oldest first."""
        query = select(PolicyVersionRow).where(PolicyVersionRow.lake == lake).order_by(PolicyVersionRow.seq)
        with Session(self._engine) as session, session.begin():
            rows = [(row.document, row.valid_from_ms) for row in session.scalars(query)]
        ends: list[int | None] = [*(later for (_, _), (_, later) in pairwise(rows)), None]
        return [
            PolicyVersion(Policy.model_validate_json(document), from_ms, until_ms)
            for (document, from_ms), until_ms in zip(rows, ends, strict=False)  # of no versions none is the last
        ]
