"""Which mirror apt's own settings name, in both forms of source files."""

from __future__ import annotations

from pathlib import Path

import pytest
from images.apt import Mirror, lines, mirror_of, mirrors, stanzas
from images.failures import CannotBuild

DEB822 = """\
# the machine's own
Types: deb deb-src
URIs: http://deb.example.org/debian
 https://second.example.org/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/own.gpg

Types: deb
URIs: http://off.example.org/debian
Suites: bookworm
Components: main
Enabled: no

Types: deb-src
URIs: http://sources.example.org/debian
Suites: bookworm
Components: main
"""


def test_a_deb822_file_names_every_uri_with_every_suite() -> None:
    found = list(stanzas(DEB822))
    assert [(each.uri, each.suite) for each in found] == [
        ("http://deb.example.org/debian", "bookworm"),
        ("http://deb.example.org/debian", "bookworm-updates"),
        ("https://second.example.org/debian", "bookworm"),
        ("https://second.example.org/debian", "bookworm-updates"),
    ]
    assert {each.keyring for each in found} == {"/usr/share/keyrings/own.gpg"}


def test_keys_written_into_a_stanza_are_no_file_of_keys() -> None:
    text = (
        "Types: deb\nURIs: http://a/debian\nSuites: bookworm\nComponents: main\nSigned-By:\n -----BEGIN PGP\n .\n abc\n"
    )
    assert [each.keyring for each in stanzas(text)] == [""]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("deb http://a/debian bookworm main", Mirror("http://a/debian", "bookworm", ("main",))),
        (
            "deb [arch=amd64 signed-by=/k.gpg] http://a/debian bookworm main contrib # ours",
            Mirror("http://a/debian", "bookworm", ("main", "contrib"), "/k.gpg"),
        ),
        (
            "deb [trusted=yes] file:/srv/debian bookworm main",
            Mirror("file:/srv/debian", "bookworm", ("main",), "", True),
        ),
    ],
)
def test_a_line_is_a_source(line: str, expected: Mirror) -> None:
    assert list(lines(line)) == [expected]


@pytest.mark.parametrize("line", ["", "# deb http://a/debian bookworm main", "deb-src http://a/debian bookworm main"])
def test_what_is_no_source_of_packages_is_none(line: str) -> None:
    assert list(lines(line)) == []


def test_both_forms_are_read_in_the_order_of_apt_and_other_files_are_not(tmp_path: Path) -> None:
    parts = tmp_path / "sources.list.d"
    parts.mkdir()
    (tmp_path / "sources.list").write_text("deb http://first/debian bookworm main\n")
    (parts / "b.sources").write_text("Types: deb\nURIs: http://third/debian\nSuites: bookworm\nComponents: main\n")
    (parts / "a.list").write_text("deb http://second/debian bookworm main\n")
    (parts / "c.list.save").write_text("deb http://never/debian bookworm main\n")
    assert [each.uri for each in mirrors(tmp_path)] == [
        "http://first/debian",
        "http://second/debian",
        "http://third/debian",
    ]


def test_a_machine_without_any_source_has_none(tmp_path: Path) -> None:
    assert mirrors(tmp_path) == ()


def test_the_first_mirror_with_the_suite_is_taken_that_debootstrap_can_read() -> None:
    known = [
        Mirror("cdrom:[Debian]/", "bookworm", ("main",)),
        Mirror("http://security/debian", "bookworm-security", ("main",)),
        Mirror("http://packages.example.org/apt", "bookworm", ("stable",)),
        Mirror("http://right/debian", "bookworm", ("main",)),
        Mirror("http://later/debian", "bookworm", ("main",)),
    ]
    assert mirror_of("bookworm", known).uri == "http://right/debian"


def test_a_suite_that_no_source_has_is_told_with_both_remedies() -> None:
    with pytest.raises(CannotBuild, match="'bookworm'") as caught:
        mirror_of("bookworm", [Mirror("http://a/ubuntu", "noble", ("main",))])
    assert "sources.list.d" in caught.value.remedy
    assert "BASE_IMAGE" in caught.value.remedy
