"""Everything that a gateway knows of products and tokens at one moment, as one value that never changes.

A request works on the view that it began with, so that nothing moves under it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from datacanal.domain.access import Principal
from datacanal.domain.product import VersionState
from datacanal.products.manifest import Manifest
from datacanal.protocol.products import Contract, Sample, Visibility

_NOT_KEPT = frozenset({VersionState.RETIRED, VersionState.HELD, VersionState.FAILED})


@dataclass(frozen=True)
class Token:
    """A token and who it speaks for."""

    digest: str
    principal: Principal
    revoked_at: datetime | None
    used_at: datetime | None
    expires_at: datetime | None


@dataclass(frozen=True)
class Release:
    """A version that a channel has pointed at, since `served_at` for the first time."""

    version: str
    state: VersionState
    served_at: datetime
    manifest: Manifest

    @property
    def snapshot(self) -> str:
        """The snapshot's id."""
        return self.manifest.snapshot

    @property
    def is_kept(self) -> bool:
        """Whether it is still answered from."""
        return self.state not in _NOT_KEPT


@dataclass(frozen=True)
class Move:
    """Where a channel points from then on."""

    at: datetime
    snapshot: str | None
    share: float = 0.0
    labels: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Restated:
    """Sessions whose values are others in the new snapshot than in the old one."""

    old_snapshot: str
    new_snapshot: str
    sessions: tuple[str, ...]
    keys: int
    rows: int
    reason: str
    at: datetime


@dataclass(frozen=True)
class Product:
    """A product; `stable` has all moves of that channel, the oldest first, `canary` where that one points now.

    `jobs` are those whose results were made versions, whatever became of these.
    """

    tenant: str
    name: str
    title: str
    description: str
    owner: str
    contract: Contract
    visibility: Visibility
    readers: frozenset[str]
    sample: Sample
    created_at: datetime
    retired_at: datetime | None
    releases: Mapping[str, Release]
    stable: tuple[Move, ...]
    canary: Move | None
    restatements: tuple[Restated, ...]
    jobs: frozenset[str] = frozenset()

    @cached_property
    def policy(self) -> str:
        """The digest of its contract."""
        return hashlib.sha256(self.contract.model_dump_json().encode()).hexdigest()

    @property
    def current(self) -> Release | None:
        """The stable version."""
        snapshot = self.stable[-1].snapshot if self.stable else None
        return self.releases.get(snapshot) if snapshot else None


@dataclass(frozen=True)
class View:
    """By tenant and name, and by the token's id."""

    number: int
    products: Mapping[tuple[str, str], Product]
    tokens: Mapping[str, Token]
