"""The token of a sign-in, as it is kept on a person's machine."""

from __future__ import annotations

import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from datacanal.client.sign_in import keep, kept_token
from datacanal.protocol.accounts import AccountView, SignedIn

NOW = datetime(2026, 3, 1, tzinfo=UTC)
HERE, THERE = "https://data.bank.example", "https://other.example"


def signed_in(token: str) -> SignedIn:
    account = AccountView(id="acc_1", name="May", principal="sign-in:acc_1", created_at=NOW, closed_at=None)
    return SignedIn(token=token, expires_at=NOW + timedelta(hours=8), account=account)


def test_each_gateway_has_its_own_token_until_it_ends(tmp_path: Path) -> None:
    environment = {"XDG_CONFIG_HOME": str(tmp_path / "config")}
    assert kept_token(HERE, environment, NOW) is None
    file = keep(signed_in("one"), HERE, environment)
    keep(signed_in("two"), THERE, environment)
    assert (kept_token(HERE, environment, NOW), kept_token(THERE, environment, NOW)) == ("one", "two")
    assert kept_token(HERE, environment, NOW + timedelta(hours=8)) is None
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"https://data.bank.example": {}}', '{"https://data.bank.example": 1}']
)
def test_a_file_that_is_damaged_is_no_token_and_is_written_anew(tmp_path: Path, text: str) -> None:
    environment = {"XDG_CONFIG_HOME": str(tmp_path)}
    file = tmp_path / "datacanal" / "sign-in.json"
    file.parent.mkdir()
    file.write_text(text)
    assert kept_token(HERE, environment, NOW) is None
    keep(signed_in("one"), HERE, environment)
    assert kept_token(HERE, environment, NOW) == "one"
