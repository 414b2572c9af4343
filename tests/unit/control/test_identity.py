"""The issuer's key is made once and kept to itself; what a lease carries is the submitter's word to that one site."""

from __future__ import annotations

import base64
import stat
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from tests.unit.control.story import CORE, ISSUER, USERS, Story

from datacanal.control.identity import load_issuer
from datacanal.protocol.authority import Authority, read_body
from datacanal.testing.compiler_fake import plan_across


def verified(text: str, public: str = ISSUER.public) -> Authority:
    body, _, signature = text.partition(".")
    key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public))
    key.verify(base64.urlsafe_b64decode(signature), body.encode())
    return read_body(body)


def test_the_issuer_s_key_is_made_once_for_its_owner_only(tmp_path: Path) -> None:
    first = load_issuer(tmp_path / "home", lambda length: b"k" * length)
    again = load_issuer(tmp_path / "home", lambda length: b"other" * length)
    assert first.public == again.public
    assert stat.S_IMODE((tmp_path / "home" / "issuer.key").stat().st_mode) == 0o600
    assert "k" * 8 not in repr(first)


def test_each_site_s_lease_carries_the_submitter_s_word_to_that_site(tmp_path: Path) -> None:
    story = Story(tmp_path)
    plan = plan_across("users", "core")
    story.submit(plan)
    scan = story.leased(USERS)
    story.done(USERS, scan)
    query = story.leased(CORE)
    to_users, to_core = verified(scan.authority), verified(query.authority)
    assert (to_users.audience, to_core.audience) == ("users", "core")
    assert to_core == to_users.model_copy(update={"audience": "core"})
    assert (to_users.job, to_users.plan) == (scan.job, plan.digest)
    assert (to_users.tenant, to_users.principal, to_users.role) == ("default", "ana", "analyst")
    assert (to_users.groups, to_users.purpose) == (["risk"], "fraud")


def test_an_authority_holds_for_as_long_as_the_job_may_run_and_its_result_be_kept(tmp_path: Path) -> None:
    story = Story(tmp_path)
    story.submit(plan_across("users", "core"))
    asked = verified(story.leased(USERS).authority)
    assert asked.issued_s == int(story.clock.now().timestamp())
    assert asked.expires_s == asked.issued_s + 7200 + 86400


def test_a_step_s_next_attempt_carries_the_same_authority_even_after_a_restart(tmp_path: Path) -> None:
    story = Story(tmp_path)
    story.submit(plan_across("users", "core"))
    first = story.leased(USERS)
    story.reopen()
    story.sweep(after_s=11)
    assert story.leased(USERS).authority == first.authority


def test_another_issuer_s_word_does_not_verify(tmp_path: Path) -> None:
    story = Story(tmp_path)
    story.submit(plan_across("users", "core"))
    other = load_issuer(tmp_path / "other", lambda length: b"o" * length)
    with pytest.raises(InvalidSignature):
        verified(story.leased(USERS).authority, other.public)
