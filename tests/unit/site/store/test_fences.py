"""What counts once counts once, whoever restarts: fences of leases and nonces of fetches."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Engine, func, select

from datacanal.site.store.database import open_database
from datacanal.site.store.fences import FenceBook, FenceRow, LeaseFence, NonceBook, NonceRow

LEASE = LeaseFence("job_1", "s1", 3, "digest", "default", "ana", expires_ms=10_000)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    made = open_database(tmp_path / "site.db")
    yield made
    made.dispose()


def test_higher_fences_follow_and_the_same_lease_may_come_again(engine: Engine) -> None:
    fences = FenceBook(engine)
    for lease in (LEASE, LEASE, replace(LEASE, fence=4), replace(LEASE, step="s2", fence=1)):
        assert fences.take(lease, now_ms=0) is None


@pytest.mark.parametrize(
    "other",
    [{"fence": 2}, {"lease": "other"}, {"fence": 4, "principal": "bob"}, {"fence": 4, "tenant": "other"}],
    ids=["lower", "another of this fence", "another user's", "another tenant's"],
)
def test_what_was_leased_is_in_the_way_of(engine: Engine, other: dict[str, object]) -> None:
    fences = FenceBook(engine)
    fences.take(LEASE, now_ms=0)
    assert fences.take(replace(LEASE, **other), now_ms=0) == LEASE  # type: ignore[arg-type]  # one field each


def test_a_lease_is_remembered_until_its_authority_has_expired(engine: Engine) -> None:
    fences = FenceBook(engine)
    fences.take(LEASE, now_ms=0)
    assert fences.take(replace(LEASE, fence=2), now_ms=LEASE.expires_ms) == LEASE
    fences.take(replace(LEASE, job="job_2"), now_ms=LEASE.expires_ms + 1)
    with engine.begin() as connection:
        assert connection.execute(select(FenceRow.job)).scalars().all() == ["job_2"]


def test_nonces_do_not_pile_up(engine: Engine) -> None:
    nonces = NonceBook(engine, expiry_s=10)
    for second in range(40):
        assert nonces.use(f"n{second}", float(second))
    with engine.begin() as connection:
        assert connection.execute(select(func.count()).select_from(NonceRow)).scalar_one() <= 11
