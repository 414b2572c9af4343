"""Pins of other sites: read anew when they change, and nothing but a site's own certificate counts."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from datacanal.certificates import Certificate, site_certificate
from datacanal.domain.errors import PeerUnknown
from datacanal.site.peers import Peers, pin


def certificate(site: str, seed: bytes = b"k") -> Certificate:
    return site_certificate(Ed25519PrivateKey.from_private_bytes(seed * 32), site)


def test_a_site_without_a_pin_is_unknown_and_the_remedy_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(PeerUnknown, match="'users'") as caught:
        Peers(tmp_path, "core").key_of("users")
    assert "datacanal site trust" in caught.value.remedy


def test_a_pin_that_appears_holds_at_once_and_one_that_goes_ends_at_once(tmp_path: Path) -> None:
    peers = Peers(tmp_path, "core")
    assert peers.all() == {}
    file = pin(tmp_path, certificate("users"))
    assert peers.key_of("users") == certificate("users").key
    file.unlink()
    assert peers.site_of(certificate("users").fingerprint) is None


def test_a_new_pin_of_a_site_replaces_the_old_one(tmp_path: Path) -> None:
    peers = Peers(tmp_path, "core")
    for seed in (b"1", b"2"):
        pin(tmp_path, certificate("users", seed))
    assert peers.site_of(certificate("users", b"1").fingerprint) is None
    assert peers.site_of(certificate("users", b"2").fingerprint) == "users"


@pytest.mark.parametrize("name", ["../core/peers/users", "/etc/passwd", "", "."])
def test_a_name_that_is_a_path_leads_nowhere(tmp_path: Path, name: str) -> None:
    pin(tmp_path, certificate("users"))
    with pytest.raises(PeerUnknown):
        Peers(tmp_path, "core").key_of(name)


@pytest.mark.parametrize("content", ["", "nonsense", certificate("somebody").pem, certificate("users").pem * 2])
def test_a_file_that_is_not_the_site_s_certificate_pins_nothing(tmp_path: Path, content: str) -> None:
    (tmp_path / "peers").mkdir()
    (tmp_path / "peers" / "users.pem").write_text(content)
    pin(tmp_path, certificate("north"))
    peers = Peers(tmp_path, "core")
    assert list(peers.all()) == ["north"]
