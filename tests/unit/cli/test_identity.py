"""`datacanal site identity`, `trust` and `peers`, and what `up` does of it by itself."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from datacanal.cli.exits import DONE, JOB_FAILED, WRONG_USAGE
from datacanal.cli.init import Layout, make_directory
from datacanal.cli.main import run
from datacanal.cli.up import introduce_sites
from datacanal.configuration import load_configuration
from datacanal.site.peers import Peers


@pytest.fixture
def bank(tmp_path: Path) -> Path:
    """A configuration of the sites core and people."""
    return make_directory(tmp_path / "bank", Layout())


def identity(bank: Path, site: str, capsys: pytest.CaptureFixture[str]) -> tuple[str, Path]:
    """The fingerprint and the certificate of a site, as the command prints them."""
    assert run(["site", "identity", site, "--config", str(bank)]) == DONE
    lines = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert lines["site"] == site
    return lines["fingerprint"], Path(lines["certificate"])


def peers(bank: Path, site: str) -> list[str]:
    return list(Peers(load_configuration(bank).site_home(site), site).all())


def test_an_identity_is_made_once_and_printed_as_people_compare_it(
    bank: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fingerprint, certificate = identity(bank, "core", capsys)
    assert [len(group) for group in fingerprint.split()] == [8] * 8
    assert certificate.is_file()
    assert identity(bank, "core", capsys) == (fingerprint, certificate)


def test_a_peer_is_pinned_by_the_fingerprint_that_its_owner_told(
    bank: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fingerprint, certificate = identity(bank, "people", capsys)
    command = ["site", "trust", "core", "people", str(certificate), "--config", str(bank)]
    assert run([*command, "--fingerprint", fingerprint.upper().replace(" ", ":")]) == DONE
    assert peers(bank, "core") == ["people"]
    capsys.readouterr()
    assert run(["site", "peers", "core", "--config", str(bank)]) == DONE
    assert fingerprint in capsys.readouterr().out


def test_another_fingerprint_pins_nothing(bank: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, certificate = identity(bank, "people", capsys)
    command = ["site", "trust", "core", "people", str(certificate), "--config", str(bank)]
    assert run([*command, "--fingerprint", "0" * 64]) == WRONG_USAGE
    assert "do not trust this file" in capsys.readouterr().err
    assert peers(bank, "core") == []


@pytest.mark.parametrize(("answer", "code", "pinned"), [("y\n", DONE, ["people"]), ("n\n", JOB_FAILED, [])])
def test_without_a_fingerprint_the_owner_is_shown_it_and_asked(
    bank: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, answer: str, code: int,
    pinned: list[str],
) -> None:  # fmt: skip
    fingerprint, certificate = identity(bank, "people", capsys)
    monkeypatch.setattr("sys.stdin", io.StringIO(answer))
    assert run(["site", "trust", "core", "people", str(certificate), "--config", str(bank)]) == code
    assert fingerprint in capsys.readouterr().out
    assert peers(bank, "core") == pinned


def test_a_file_of_another_site_or_of_nothing_is_refused(bank: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, certificate = identity(bank, "people", capsys)
    nonsense = bank.parent / "nonsense.pem"
    nonsense.write_text("nonsense")
    for peer, file, says in (
        ("north", certificate, "the certificate of site 'people'"),
        ("people", nonsense, "no PEM certificate"),
        ("people", bank.parent / "missing.pem", "No such file"),
        ("core", certificate, "the certificate of site 'people'"),
    ):
        command = ["site", "trust", "core", peer, str(file), "--config", str(bank), "--fingerprint", "0" * 64]
        assert run(command) == WRONG_USAGE
        assert says in capsys.readouterr().err
    assert run(["site", "identity", "nowhere", "--config", str(bank)]) == WRONG_USAGE


def test_up_introduces_the_sites_of_this_machine_to_each_other(bank: Path) -> None:
    introduce_sites(load_configuration(bank))
    assert (peers(bank, "core"), peers(bank, "people")) == (["people"], ["core"])


def test_a_site_that_lost_its_home_is_introduced_anew(bank: Path) -> None:
    configuration = load_configuration(bank)
    introduce_sites(configuration)
    home = configuration.site_home("people")
    before = Peers(configuration.site_home("core"), "core").key_of("people")
    (home / "signing.key").unlink()
    introduce_sites(configuration)
    assert Peers(configuration.site_home("core"), "core").key_of("people") != before
