"""Read a view from the state store. What cannot change any more (a manifest) is read once."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from datacanal.domain.access import Principal
from datacanal.domain.product import VersionState
from datacanal.gateway.view import Move, Product, Release, Restated, Token, View
from datacanal.products.manifest import Manifest
from datacanal.protocol.products import Contract, Sample
from datacanal.state.models import TokenRow
from datacanal.state.product_models import ChannelRow, ProductRow, RestatementRow, VersionRow
from datacanal.state.revisions import number_of

_Named = dict[tuple[str, str], list[ChannelRow]]


class Loader:
    """Reads views from one store, one after the other. Belongs to one thread."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._manifests: dict[str, Manifest] = {}

    def number(self) -> int:
        """How often the store has changed."""
        with Session(self._engine) as session:
            return number_of(session)

    def load(self) -> View:
        """Everything, as it is in one moment."""
        with Session(self._engine) as session:
            number = number_of(session)
            tokens = {row.id: _token(row) for row in session.scalars(select(TokenRow))}
            return View(number, self._products(session), tokens)

    def _products(self, session: Session) -> dict[tuple[str, str], Product]:
        moves: _Named = defaultdict(list)
        for move in session.scalars(select(ChannelRow).order_by(ChannelRow.id)):
            moves[move.tenant, move.product].append(move)
        restated: dict[tuple[str, str], list[Restated]] = defaultdict(list)
        for row in session.scalars(select(RestatementRow).order_by(RestatementRow.id)):
            restated[row.tenant, row.product].append(_restated(row))
        releases = self._releases(session, moves)
        jobs: dict[tuple[str, str], set[str]] = defaultdict(set)
        for tenant, product, job in session.execute(select(VersionRow.tenant, VersionRow.product, VersionRow.job_id)):
            jobs[tenant, product].add(job)
        rows = session.scalars(select(ProductRow))
        keys = ((row, (row.tenant, row.name)) for row in rows)
        return {key: _product(row, moves[key], releases[key], restated[key], jobs[key]) for row, key in keys}

    def _releases(self, session: Session, moves: _Named) -> dict[tuple[str, str], dict[str, Release]]:
        served_at = {move.snapshot: move.at for of in moves.values() for move in reversed(of) if move.snapshot}
        found: dict[tuple[str, str], dict[str, Release]] = defaultdict(dict)
        rows = session.scalars(select(VersionRow).order_by(VersionRow.major, VersionRow.minor))
        for row in rows:
            if row.snapshot in served_at and row.manifest is not None:
                release = Release(
                    row.version, VersionState(row.state), served_at[row.snapshot], self._manifest(row.manifest, row)
                )
                found[row.tenant, row.product][row.snapshot] = release
        self._manifests = {each: release.manifest for of in found.values() for each, release in of.items()}
        return found

    def _manifest(self, text: str, row: VersionRow) -> Manifest:
        if row.snapshot not in self._manifests:
            self._manifests[row.snapshot] = Manifest.model_validate_json(text)
        return self._manifests[row.snapshot]


def _token(row: TokenRow) -> Token:
    principal = Principal(row.tenant, row.name, row.role, tuple(json.loads(row.groups)))
    return Token(row.digest, principal, row.revoked_at, row.used_at, row.expires_at)


def _restated(row: RestatementRow) -> Restated:
    sessions = tuple(json.loads(row.sessions))
    return Restated(row.old_snapshot, row.new_snapshot, sessions, row.keys, row.rows, row.reason, row.at)


def _moves(rows: Iterable[ChannelRow], channel: str) -> list[Move]:
    return [
        Move(row.at, row.snapshot, row.share, frozenset(json.loads(row.labels)))
        for row in rows
        if row.channel == channel
    ]


def _product(
    row: ProductRow,
    moves: Sequence[ChannelRow],
    releases: dict[str, Release],
    restated: Sequence[Restated],
    jobs: Iterable[str],
) -> Product:
    canaries = _moves(moves, "canary")
    return Product(
        tenant=row.tenant,
        name=row.name,
        title=row.title,
        description=row.description,
        owner=row.principal,
        contract=Contract.model_validate_json(row.contract),
        visibility=row.visibility,  # type: ignore[arg-type]  # the store holds what a request of this type said
        readers=frozenset(json.loads(row.readers)),
        sample=Sample.model_validate_json(row.sample),
        created_at=row.created_at,
        retired_at=row.retired_at,
        releases=releases,
        stable=tuple(_moves(moves, "stable")),
        canary=canaries[-1] if canaries and canaries[-1].snapshot else None,
        restatements=tuple(restated),
        jobs=frozenset(jobs),
    )
