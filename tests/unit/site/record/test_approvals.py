"""What the owner decides is recorded: a policy taken into force, a site pinned, a pin taken away."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from datacanal.certificates import Certificate
from datacanal.site.identity import load_identity
from datacanal.site.peers import Peers, pin
from datacanal.site.policy import Policy
from datacanal.site.record.approvals import RecordedPins, RecordedVersions
from datacanal.site.record.entry import Entry
from datacanal.site.store.policies import PolicyStore
from datacanal.testing.site_books import SiteBooks, open_books

OPEN = Policy.model_validate({"default_class": "public"})
CLOSED = Policy.model_validate({"default_class": "secret"})


@pytest.fixture
def books(tmp_path: Path) -> Iterator[SiteBooks]:
    opened = open_books(tmp_path / "core")
    yield opened
    opened.close()


def certificate(folder: Path, site: str, seed: bytes = b"s") -> Certificate:
    return load_identity(folder / f"{site}-{seed.decode()}", site, lambda length: seed * length).certificate


def recorded(books: SiteBooks) -> list[Entry]:
    return [found.entry for found in books.record.entries()]


def test_a_policy_is_recorded_each_time_that_it_comes_into_force(books: SiteBooks) -> None:
    versions = RecordedVersions(PolicyStore(books.engine), books.record)
    for at_ms, policy in enumerate((OPEN, OPEN, CLOSED, OPEN)):
        versions.keep("t", policy, at_ms)
    assert [(entry.kind, entry.decision, entry.at_ms, entry.digest) for entry in recorded(books)] == [
        ("policy", "accepted", 0, OPEN.digest),
        ("policy", "accepted", 2, CLOSED.digest),
        ("policy", "accepted", 3, OPEN.digest),
    ]
    assert recorded(books)[0].policies == {"t": OPEN.digest}
    assert [version.policy for version in versions.versions("t")] == [OPEN, CLOSED, OPEN]


def test_a_pin_is_recorded_before_it_is_used_and_so_is_its_end(books: SiteBooks, tmp_path: Path) -> None:
    peers = Peers(tmp_path / "core", "core")
    first, other = certificate(tmp_path, "west"), certificate(tmp_path, "west", b"o")
    pin(tmp_path / "core", first)
    peers.watch(RecordedPins(books.record, lambda: 5).note)
    assert [(entry.decision, list(entry.receivers), entry.digest) for entry in recorded(books)] == [
        ("accepted", ["west"], first.fingerprint)
    ]
    file = pin(tmp_path / "core", other)
    assert peers.key_of("west") == other.key
    assert recorded(books)[-1].digest == other.fingerprint
    file.unlink()
    assert peers.all() == {}
    assert (recorded(books)[-1].decision, recorded(books)[-1].reason) == ("refused", "its pin was taken away")
    pin(tmp_path / "core", other)
    assert peers.all().keys() == {"west"}
    assert [entry.decision for entry in recorded(books)] == ["accepted", "accepted", "refused", "accepted"]


def test_a_restart_records_only_what_changed_meanwhile(books: SiteBooks, tmp_path: Path) -> None:
    pin(tmp_path / "core", certificate(tmp_path, "west"))
    for _ in range(2):
        Peers(tmp_path / "core", "core").watch(RecordedPins(books.record, lambda: 5).note)
    assert len(recorded(books)) == 1
    pin(tmp_path / "core", certificate(tmp_path, "east"))
    Peers(tmp_path / "core", "core").watch(RecordedPins(books.record, lambda: 5).note)
    assert [list(entry.receivers) for entry in recorded(books)] == [["west"], ["east"]]
