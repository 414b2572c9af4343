"""The doors of a control plane: their keys stay, their addresses stay, and nothing is served unsecured by mistake."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from datacanal.certificates import fingerprint_in
from datacanal.configuration import ControlSection
from datacanal.control.doors import bind_site_door, door_url, load_site_door
from datacanal.domain.errors import BadConfiguration, PortInUse
from datacanal.serving.doors import public_tls
from datacanal.serving.runner import address_of, bind

LOOPBACK = ControlSection(listen="127.0.0.1:0")
BEYOND = ControlSection(listen="0.0.0.0:8400")


def test_the_sites_door_keeps_its_certificate(tmp_path: Path) -> None:
    first = load_site_door(tmp_path)
    assert load_site_door(tmp_path) == first
    assert (tmp_path / "control.key").stat().st_mode & 0o777 == 0o600


def test_both_doors_have_one_key_so_that_a_token_vouches_for_both(tmp_path: Path) -> None:
    door = load_site_door(tmp_path)
    public_tls(BEYOND, tmp_path, "control")
    shown = (tmp_path / "control.pem").read_bytes()
    assert fingerprint_in(shown) == door.fingerprint
    assert shown.decode() != door.certificate


def test_a_certificate_that_still_names_the_machine_is_kept(tmp_path: Path) -> None:
    public_tls(BEYOND, tmp_path, "control")
    first = (tmp_path / "control.pem").read_text()
    public_tls(BEYOND, tmp_path, "control")
    assert (tmp_path / "control.pem").read_text() == first
    public_tls(ControlSection(listen="192.0.2.7:8400"), tmp_path, "control")
    assert (tmp_path / "control.pem").read_text() != first


def test_a_key_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "control.key").write_text("nonsense")
    with pytest.raises(BadConfiguration, match=r"control\.key"):
        load_site_door(tmp_path)


def test_on_loopback_the_public_door_needs_no_certificate(tmp_path: Path) -> None:
    assert public_tls(LOOPBACK, tmp_path, "control") is None


def test_given_files_that_are_no_pair_are_named(tmp_path: Path) -> None:
    (tmp_path / "c.pem").write_text("nonsense")
    given = ControlSection(certificate=tmp_path / "c.pem", key=tmp_path / "c.pem")
    with pytest.raises(BadConfiguration, match=r"control\.certificate"):
        public_tls(given, tmp_path, "control")


def test_the_sites_door_is_where_it_was(tmp_path: Path) -> None:
    with bind_site_door(LOOPBACK, tmp_path) as first:
        address = address_of(first)
    with bind_site_door(LOOPBACK, tmp_path) as second:
        assert address_of(second) == address


@pytest.mark.parametrize("kept", ["", "nonsense", "0", "99999999"])
def test_a_kept_port_that_is_none_or_taken_is_given_up(tmp_path: Path, kept: str) -> None:
    with bind("127.0.0.1:0", key="test") as taken:
        (tmp_path / "door.port").write_text(kept or address_of(taken).rpartition(":")[2])
        with bind_site_door(LOOPBACK, tmp_path) as door:
            assert address_of(door) != address_of(taken)


def test_a_taken_address_that_was_asked_for_is_named(tmp_path: Path) -> None:
    with bind("127.0.0.1:0", key="test") as taken, pytest.raises(PortInUse, match=r"control\.sites"):
        bind_site_door(ControlSection(sites=address_of(taken)), tmp_path)


class Everywhere(socket.socket):
    """A socket that listens on all of the machine's addresses, as far as it says."""

    def getsockname(self) -> tuple[str, int]:
        return "0.0.0.0", 8402  # noqa: S104  # nothing is bound


@pytest.mark.parametrize(
    ("asked_at", "found"),
    [
        ("control.bank.example:8400", "https://control.bank.example:8402"),
        ("192.0.2.1:8400", "https://192.0.2.1:8402"),
        ("[2001:db8::1]:8400", "https://[2001:db8::1]:8402"),
        ("", "https://127.0.0.1:8402"),
    ],
)
def test_a_door_that_is_everywhere_is_told_by_the_name_that_the_caller_used(asked_at: str, found: str) -> None:
    with Everywhere() as door:
        assert door_url(door, asked_at) == found
