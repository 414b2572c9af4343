"""What the site remembers so that nothing counts twice: fences of leases and nonces of fetches, over restarts."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from sqlalchemy import Engine, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from datacanal.site.store.models import SITE_ITSELF, Base
from datacanal.storage.tables import Owned

_NONCE_AT_MOST = 64
# Texts, as every step and every fetch asks: SQLAlchemy compiles an INSERT with a conflict clause anew each time.
_FORGET_FENCES = text("DELETE FROM fences WHERE expires_ms < :now_ms")
_TAKE_FENCE = text(
    "INSERT INTO fences (job, step, fence, lease, tenant, principal, expires_ms)"
    " VALUES (:job, :step, :fence, :lease, :tenant, :principal, :expires_ms)"
    " ON CONFLICT (job, step) DO UPDATE"
    " SET fence = excluded.fence, lease = excluded.lease, expires_ms = excluded.expires_ms"
    " WHERE fences.fence < excluded.fence"
    " AND fences.tenant = excluded.tenant AND fences.principal = excluded.principal"
    " RETURNING fence"
)
_KNOWN_FENCE = text(
    "SELECT job, step, fence, lease, tenant, principal, expires_ms FROM fences WHERE job = :job AND step = :step"
)
_FORGET_NONCES = text("DELETE FROM nonces WHERE expires_ms < :now_ms")
_USE_NONCE = text(
    "INSERT INTO nonces (nonce, expires_ms, tenant, principal) VALUES (:nonce, :expires_ms, :tenant, :principal)"
    " ON CONFLICT DO NOTHING RETURNING nonce"
)


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
        with self._engine.begin() as connection:
            connection.execute(_FORGET_FENCES, {"now_ms": now_ms})
            if connection.execute(_TAKE_FENCE, values).first() is not None:
                return None
            found = LeaseFence(*connection.execute(_KNOWN_FENCE, {"job": lease.job, "step": lease.step}).one())
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
        with self._engine.begin() as connection:
            connection.execute(_FORGET_NONCES, {"now_ms": int(now_s * 1000)})
            return connection.execute(_USE_NONCE, row).first() is not None
