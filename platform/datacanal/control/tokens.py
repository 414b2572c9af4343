"""Tokens: made once, kept as digests, checked in constant time on every request."""

from __future__ import annotations

import json
import secrets
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from datacanal.control.changes import Change
from datacanal.control.clock import Clock
from datacanal.control.desk import Desk
from datacanal.domain.access import Principal, check_may_grant
from datacanal.domain.errors import BadField, NotFound, Unauthenticated
from datacanal.protocol.public import NewToken, TokenList, TokenRequest, TokenView
from datacanal.state.models import TokenRow
from datacanal.state.revisions import grow
from datacanal.state.tokens import digest_of, id_in, is_secret_of, why_ended

TENANT = "default"
_SECRET_BYTES = 32


class TokenBook:
    """All tokens, held in memory too: only this process ever changes them. `door` is the site door's fingerprint."""

    def __init__(self, desk: Desk, door: str) -> None:
        self._desk = desk
        self._door = door
        self._rows: dict[str, TokenRow] = {}

    def load(self) -> None:
        """Read every token from the store."""
        self._rows = self._desk.read_now(
            lambda session: {row.id: row for row in session.scalars(select(TokenRow)).all()}
        )

    def principal(self, secret: str | None) -> Principal:
        """Who a bearer secret speaks for. Raises `Unauthenticated` with the reason."""
        if secret is None:
            raise Unauthenticated(reason="the Authorization header with a Bearer token is missing")
        row = self.known(secret)
        if row is None:
            raise Unauthenticated(reason="the token is wrong")
        if ended := why_ended(row, self._desk.clock.now()):
            raise Unauthenticated(reason=ended)
        return Principal(tenant=row.tenant, name=row.name, role=row.role, groups=tuple(json.loads(row.groups)))

    def known(self, secret: str) -> TokenRow | None:
        """The token of that secret, whether it still holds or not."""
        row = self._rows.get(id_in(secret))
        return row if is_secret_of(row.digest if row is not None else None, secret) else None

    def renew(self, row: TokenRow) -> None:
        """Take over what was just written to the store."""
        self._rows[row.id] = row

    async def create(self, creator: Principal, request: TokenRequest) -> NewToken:
        """A new token; its secret is in this answer and nowhere else."""
        check_may_grant(creator, request.role)
        if request.expires is not None and request.expires.tzinfo is None:
            raise BadField(field="expires", reason="a time zone is needed, for instance 2030-01-31T00:00:00Z")
        row, secret = new_token(self._desk.clock, creator, request, self._door)
        await self._desk.write(lambda change: _add(change, row))
        self._rows[row.id] = row
        return NewToken(token=token_view(row), secret=secret)

    def list_all(self, reader: Principal) -> TokenList:
        """The tokens of the reader's tenant, without secrets."""
        rows = [row for row in self._rows.values() if row.tenant == reader.tenant]
        return TokenList(tokens=[token_view(row) for row in sorted(rows, key=lambda row: row.id)])

    async def revoke(self, revoker: Principal, token_id: str) -> TokenView:
        """End a token now; revoking it again changes nothing."""
        row = self._rows.get(token_id)
        if row is None or row.tenant != revoker.tenant:
            raise NotFound(what="token", name=token_id)
        check_may_grant(revoker, row.role)
        revoked = await self._desk.write(lambda change: _revoke(change, token_id))
        self._rows[token_id] = revoked
        return token_view(revoked)


def _add(change: Change, row: TokenRow) -> None:
    change.session.add(row)
    grow(change.session)


def _revoke(change: Change, token_id: str) -> TokenRow:
    row = change.session.get_one(TokenRow, token_id)
    row.revoked_at = row.revoked_at or change.clock.now()
    grow(change.session)
    return row


def new_token(clock: Clock, creator: Principal, request: TokenRequest, door: str) -> tuple[TokenRow, str]:
    """A row for the store and the secret that goes with it."""
    token_id = clock.new_id("tok")
    secret = f"dct_{token_id.removeprefix('tok_')}_{secrets.token_hex(_SECRET_BYTES)}"
    if request.role == "site":
        secret = f"{secret}_{door}"
    row = TokenRow(
        id=token_id,
        tenant=creator.tenant,
        principal=creator.name,
        name=request.name,
        role=request.role,
        groups=json.dumps(request.groups, ensure_ascii=False),
        digest=digest_of(secret),
        created_at=clock.now(),
        expires_at=request.expires,
        revoked_at=None,
        used_at=None,
    )
    return row, secret


def live_tokens(session: Session, role: str, name: str, now: datetime) -> list[TokenRow]:
    """The tokens of that role and name that still hold."""
    rows = session.scalars(select(TokenRow).where(TokenRow.role == role, TokenRow.name == name)).all()
    return [row for row in rows if why_ended(row, now) is None]


def secret_is_of(secret: str, rows: list[TokenRow]) -> bool:
    """Whether the secret belongs to one of the tokens."""
    return any(is_secret_of(row.digest, secret) for row in rows)


def token_view(row: TokenRow) -> TokenView:
    return TokenView.model_validate(
        {
            "id": row.id,
            "name": row.name,
            "role": row.role,
            "groups": json.loads(row.groups),
            "created_at": row.created_at,
            "expires_at": row.expires_at,
            "revoked_at": row.revoked_at,
            "used_at": row.used_at,
        }
    )
