"""What the site remembers so that nothing counts twice: fences of leases and nonces of fetches, over restarts."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from sqlalchemy import Engine, Index, String, and_, delete, select
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.orm import Mapped, mapped_column

from datacanal.site.store.models import SITE_ITSELF, Base
from datacanal.storage.tables import Owned

_NONCE_AT_MOST = 64


class FenceRow(Owned, Base):
    """The highest fence under which a step was leased, and the digest of that lease."""

    __tablename__ = "fences"
    __table_args__ = (Index(None, "expires_ms"),)

    job: Mapped[str] = mapped_column(String(64), primary_key=True)
    step: Mapped[str] = mapped_column(String(64), primary_key=True)
    fence: Mapped[int]
    lease: Mapped[str] = mapped_column(String(64))
    expires_ms: Mapped[int]


class NonceRow(Owned, Base):
    """A nonce that was used; nobody accepts its signature any more after `expires_ms`."""

    __tablename__ = "nonces"
    __table_args__ = (Index(None, "expires_ms"),)

    nonce: Mapped[str] = mapped_column(String(64), primary_key=True)
    expires_ms: Mapped[int]


@dataclass(frozen=True)
class LeaseFence:
    """A lease as it is remembered: `lease` is the digest of all that it says."""

    job: str
    step: str
    fence: int
    lease: str
    tenant: str
    principal: str
    expires_ms: int


class FenceBook:
    """A row is forgotten when its lease would be refused anyway, as the authority in it has expired."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def take(self, lease: LeaseFence, now_ms: int) -> LeaseFence | None:
        """Note the lease. What is in its way: a higher fence's lease, another one of this fence, or another user's."""
        values = asdict(lease)
        upsert = insert(FenceRow).values(values)
        newer = (
            FenceRow.fence < upsert.excluded.fence,
            FenceRow.tenant == upsert.excluded.tenant,
            FenceRow.principal == upsert.excluded.principal,
        )
        taken = upsert.on_conflict_do_update(index_elements=["job", "step"], set_=values, where=and_(*newer))
        columns = [getattr(FenceRow, name) for name in values]
        known = select(*columns).filter_by(job=lease.job, step=lease.step)
        with self._engine.begin() as connection:
            connection.execute(delete(FenceRow).where(FenceRow.expires_ms < now_ms))
            if connection.execute(taken.returning(FenceRow.fence)).first() is not None:
                return None
            found = LeaseFence(*connection.execute(known).one())
        return None if found == lease else found


class NonceBook:
    """`expiry_s` is how long a signature could be shown again."""

    def __init__(self, engine: Engine, expiry_s: float) -> None:
        self._engine = engine
        self._expiry_s = expiry_s

    def use(self, nonce: str, now_s: float) -> bool:
        """Whether the nonce is new; it no longer is afterwards, whatever becomes of this process."""
        if not 0 < len(nonce) <= _NONCE_AT_MOST:
            return False
        row = {"nonce": nonce, "expires_ms": int((now_s + self._expiry_s) * 1000), **SITE_ITSELF}
        used = insert(NonceRow).values(row).on_conflict_do_nothing().returning(NonceRow.nonce)
        with self._engine.begin() as connection:
            connection.execute(delete(NonceRow).where(NonceRow.expires_ms < int(now_s * 1000)))
            return connection.execute(used).first() is not None
