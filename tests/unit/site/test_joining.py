"""Where a site looks for its token, and what it keeps of a control plane."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from datacanal.domain.errors import JoinRefused, Unauthenticated
from datacanal.site import joining
from datacanal.site.identity import Membership, SiteIdentity, load_identity, load_membership, save_membership
from datacanal.site.joining import PublicDoor, Tokens, ensure_joined

TOKEN = "dct_01AB_" + "a" * 64 + "_" + "b" * 64
MEMBER = Membership(door="https://127.0.0.1:1", certificate="c", issuer="i", token="tok_01AB")  # noqa: S106  # an id


@dataclass(frozen=True)
class ControlPlane(PublicDoor):
    """Takes in whoever brings the token that it knows."""

    url: str = "http://127.0.0.1:1"
    known: str = TOKEN
    asked: list[str] = field(default_factory=list)

    async def join(self, identity: SiteIdentity, secret: str) -> Membership:
        self.asked.append(secret)
        if secret != self.known:
            raise JoinRefused(site=identity.site, reason="the token is wrong")
        return MEMBER


def joined(home: Path, control: ControlPlane, environment: str = "") -> Membership:
    identity = load_identity(home, "core", os.urandom)
    return asyncio.run(ensure_joined(home, identity, control, Tokens(home, environment)))


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(joining, "_TOKEN_WAIT_S", 0.0)


def test_a_site_without_a_token_says_where_it_looked(tmp_path: Path) -> None:
    with pytest.raises(Unauthenticated, match=r"token or DATACANAL_TOKEN"):
        joined(tmp_path, ControlPlane())


def test_a_token_in_the_home_is_used_once_and_gone(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    assert joined(tmp_path, ControlPlane()) == MEMBER
    assert not (tmp_path / "token").exists()
    again = ControlPlane()
    assert joined(tmp_path, again) == MEMBER
    assert again.asked == []


def test_the_home_s_token_comes_before_the_environment_s(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(TOKEN)
    assert joined(tmp_path, ControlPlane(), "dct_02CD_other") == MEMBER


def test_the_environment_s_token_is_not_used_again_by_the_site_that_joined_with_it(tmp_path: Path) -> None:
    for _ in range(2):
        control = ControlPlane()
        joined(tmp_path, control, TOKEN)
    assert control.asked == []


def test_another_token_makes_a_member_join_again(tmp_path: Path) -> None:
    save_membership(tmp_path, MEMBER)
    control = ControlPlane(known="dct_02CD_" + "c" * 64)
    joined(tmp_path, control, "dct_02CD_" + "c" * 64)
    assert len(control.asked) == 1


def test_a_member_stays_one_when_a_stale_token_is_refused(tmp_path: Path) -> None:
    save_membership(tmp_path, MEMBER)
    (tmp_path / "token").write_text("dct_09_stale")
    assert joined(tmp_path, ControlPlane()) == MEMBER


def test_who_is_refused_and_no_member_does_not_start(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("dct_09_wrong")
    with pytest.raises(JoinRefused, match="the token is wrong"):
        joined(tmp_path, ControlPlane())


def test_another_token_than_the_one_that_was_refused_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(joining, "_ANOTHER_LOOK_S", 0.001)
    file = tmp_path / "token"
    file.write_text("dct_09_refused")

    async def scene() -> None:
        noticing = asyncio.create_task(Tokens(tmp_path, "").another())
        for content in ("dct_09_refused", ""):
            file.write_text(content)
            _, waiting = await asyncio.wait([noticing], timeout=0.01)
            assert waiting
        file.write_text(TOKEN)
        await noticing

    asyncio.run(scene())


def test_a_broken_file_of_a_membership_is_none(tmp_path: Path) -> None:
    (tmp_path / "control.json").write_text('{"door": 5')
    assert load_membership(tmp_path) is None


def test_the_same_key_and_name_make_the_same_certificate_for_ever(tmp_path: Path) -> None:
    first = load_identity(tmp_path, "core", os.urandom)
    again = load_identity(tmp_path, "core", os.urandom)
    assert (first.certificate, first.keys.public) == (again.certificate, again.keys.public)
    assert (tmp_path / "certificate.key").stat().st_mode & 0o777 == 0o600
