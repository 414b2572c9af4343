"""Where the client looks for the service and the token."""

from __future__ import annotations

from pathlib import Path

from datacanal.client.address import no_token, resolve_token, resolve_url


def test_an_argument_comes_before_the_environment_and_the_default() -> None:
    assert resolve_url("http://a/", {"DATACANAL_URL": "http://b"}) == "http://a"
    assert resolve_url(None, {"DATACANAL_URL": "http://b"}) == "http://b"
    assert resolve_url(None, {}) == "http://127.0.0.1:8400"


def test_the_token_of_the_named_home_comes_before_the_one_here(tmp_path: Path) -> None:
    for name in ("here/state", "home"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "admin.token").write_text(f"token-of-{name}\n")
    here = tmp_path / "here"
    assert resolve_token(None, {"DATACANAL_HOME": str(tmp_path / "home")}, here) == "token-of-home"
    assert resolve_token(None, {}, here) == "token-of-here/state"
    assert resolve_token(None, {"DATACANAL_TOKEN": " set "}, here) == "set"


def test_without_any_token_the_places_are_named(tmp_path: Path) -> None:
    assert resolve_token(None, {}, tmp_path) is None
    assert "state/admin.token" in no_token({}, tmp_path).detail
