"""A site believes of a submitter what the pinned issuer signed for it, for this job and plan, and for now."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from datacanal.control.identity import Issuer
from datacanal.domain.errors import AuthorityRefused
from datacanal.protocol.authority import Authority
from datacanal.protocol.site import Lease
from datacanal.site.authorities import Authorities
from datacanal.testing.compiler_fake import plan_at

NOON = datetime(2030, 5, 1, 12, tzinfo=UTC)
ISSUER = Issuer(Ed25519PrivateKey.from_private_bytes(b"i" * 32))
PLAN = plan_at("core")
AUTHORITY = Authority(
    job="job_1",
    tenant="default",
    principal="ana",
    role="analyst",
    groups=["risk"],
    purpose="fraud",
    statement="0" * 64,
    plan=PLAN.digest,
    audience="core",
    issued_s=int(NOON.timestamp()),
    expires_s=int(NOON.timestamp()) + 7200,
)


def signed(issuer: Issuer = ISSUER, **changed: object) -> str:
    return issuer.signed(AUTHORITY.model_copy(update=changed))


def lease(authority: str, **changed: object) -> Lease:
    given = Lease(
        authority=authority,
        job="job_1",
        step="q",
        fence=1,
        attempt=1,
        tenant="default",
        principal="ana",
        purpose="fraud",
        plan=PLAN,
        plan_digest=PLAN.digest,
        inputs=[],
        consumers=[],
        is_result=True,
        result_expiry_s=60,
    )
    return given.model_copy(update=changed)


def authorities(at: datetime = NOON) -> Authorities:
    return Authorities("core", lambda: ISSUER.public, lambda: at)


def refusal(given: Lease, at: datetime = NOON) -> str:
    with pytest.raises(AuthorityRefused) as caught:
        authorities(at).of_lease(given)
    return caught.value.detail


def test_what_the_issuer_signed_for_this_job_and_site_is_believed() -> None:
    assert authorities().of_lease(lease(signed())) == AUTHORITY


@pytest.mark.parametrize(
    ("name", "value"),
    [("job", "job_2"), ("tenant", "other"), ("principal", "bob"), ("purpose", "marketing"), ("plan", "0" * 64)],
)
def test_a_lease_that_says_something_else_than_the_submitter_is_refused(name: str, value: str) -> None:
    assert f"the {name} " in refusal(lease(signed(**{name: value})))


def test_a_purpose_cannot_be_taken_away_or_given() -> None:
    assert "purpose" in refusal(lease(signed(), purpose=None))
    assert "purpose" in refusal(lease(signed(purpose=None)))


def test_an_authority_for_another_site_is_refused() -> None:
    assert "for site 'users'" in refusal(lease(signed(audience="users")))


def test_another_issuer_s_signature_is_refused() -> None:
    other = Issuer(Ed25519PrivateKey.from_private_bytes(b"o" * 32))
    assert "not signed by the issuer" in refusal(lease(signed(other)))


@pytest.mark.parametrize("text", ["", "no dot", ".", "é.é", "e30=.", "." * 70_000])
def test_nonsense_is_no_authority(text: str) -> None:
    assert refusal(lease(text))


def test_every_edited_character_is_noticed() -> None:
    text = signed()
    for position in range(0, len(text) - 1, 11):
        edited = text[:position] + ("A" if text[position] != "A" else "B") + text[position + 1 :]
        assert refusal(lease(edited))


def test_a_signed_document_of_another_version_is_refused() -> None:
    class Other(Authority):
        more: str = "x"

    text = ISSUER.signed(Other(**AUTHORITY.model_dump()))
    assert "another version" in refusal(lease(text))


@pytest.mark.parametrize("shift_s", [-300, 0, 7200 + 300])
def test_clocks_may_differ_by_five_minutes(shift_s: int) -> None:
    assert authorities(NOON + timedelta(seconds=shift_s)).of_lease(lease(signed()))


def test_a_clock_an_hour_off_is_refused_naming_both_times() -> None:
    detail = refusal(lease(signed()), NOON - timedelta(hours=1))
    assert "2030-05-01T12:00:00Z" in detail
    assert "2030-05-01T11:00:00Z" in detail


def test_an_expired_authority_is_refused_naming_both_times() -> None:
    detail = refusal(lease(signed()), NOON + timedelta(hours=3))
    assert "2030-05-01T14:00:00Z" in detail
    assert "2030-05-01T15:00:00Z" in detail


def test_a_time_beyond_every_calendar_is_refused_too() -> None:
    assert "issued at" in refusal(lease(signed(issued_s=10**18)))


def test_an_issuer_that_was_not_pinned_signs_nothing() -> None:
    pinned: Callable[[], str] = lambda: ""  # noqa: E731
    with pytest.raises(AuthorityRefused):
        Authorities("core", pinned, lambda: NOON).of_lease(lease(signed()))
