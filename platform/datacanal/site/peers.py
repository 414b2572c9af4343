"""The other sites that this one knows: their certificates, pinned by its owner, one file each in `<home>/peers`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import structlog

from datacanal.certificates import Certificate, read_site_certificate
from datacanal.domain.errors import PeerUnknown
from datacanal.homes import write_secret

_log = structlog.get_logger()
_Seen = frozenset[tuple[str, int, int, int]]


class Peers:
    """Looks at the folder on every question, so that a pin holds, and one taken away ends, without a restart."""

    def __init__(self, home: Path, site: str) -> None:
        self._folder = home / "peers"
        self._site = site
        self._seen: _Seen | None = None
        self._known: dict[str, Certificate] = {}
        self._told: Callable[[Mapping[str, Certificate]], None] | None = None

    def watch(self, told: Callable[[Mapping[str, Certificate]], None]) -> None:
        """Tell of what is pinned, now and whenever that changes, before any of it is used."""
        self._told = told
        told(self.all())

    def all(self) -> Mapping[str, Certificate]:
        """The pinned certificates by site. The same object for as long as nothing changes."""
        seen = self._look()
        if seen != self._seen:
            known = _read(self._folder)
            if self._told is not None:
                self._told(known)
            self._known = known
            self._seen = seen
        return self._known

    def certificate_of(self, site: str) -> Certificate:
        """Raises `PeerUnknown` where the owner pinned none."""
        found = self.all().get(site)
        if found is None:
            raise PeerUnknown(site=self._site, peer=site, reason="no certificate of it is pinned here")
        return found

    def key_of(self, site: str) -> str:
        """The pinned Ed25519 public key of the site, base64. Raises `PeerUnknown`."""
        return self.certificate_of(site).key

    def site_of(self, fingerprint: str) -> str | None:
        """The pinned site whose key this is."""
        return next((site for site, pinned in self.all().items() if pinned.fingerprint == fingerprint), None)

    def _look(self) -> _Seen:
        try:
            found = [(file.name, file.stat()) for file in self._folder.iterdir()]
        except OSError:
            return frozenset()
        return frozenset((name, known.st_ino, known.st_mtime_ns, known.st_size) for name, known in found)


def pin(home: Path, certificate: Certificate) -> Path:
    """From now on the site of this home knows the certificate's site by this key alone; gives the file."""
    folder = home / "peers"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = folder / f"{certificate.site}.pem"
    if not file.is_file() or file.read_text("ascii") != certificate.pem:
        write_secret(file, certificate.pem.encode("ascii"))
    return file


def _read(folder: Path) -> dict[str, Certificate]:
    known: dict[str, Certificate] = {}
    for file in sorted(folder.glob("*.pem")):
        try:
            certificate = read_site_certificate(file.read_text("ascii"))
            if certificate.site != file.stem:
                raise ValueError(f"it is the certificate of site {certificate.site!r}")
        except (OSError, ValueError) as error:
            _log.warning("pin_unreadable", peer=file.stem, reason=str(error))
            continue
        known[file.stem] = certificate
    return known
