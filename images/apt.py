"""Which mirror this machine's own apt settings name for a suite: both forms of source files that apt reads."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from images.failures import CannotBuild

APT = Path("/etc/apt")
_SCHEMES = ("http://", "https://", "file:")
_YES = {"yes", "true", "with", "on", "enable", "1"}


@dataclass(frozen=True)
class Mirror:
    """An archive of Debian packages. `keyring` is the file of keys it signs with, empty where apt names none."""

    uri: str
    suite: str
    components: tuple[str, ...]
    keyring: str = ""
    trusted: bool = False

    @property
    def debootstraps(self) -> bool:
        """Whether debootstrap can read it: it knows no cdrom, ssh or mirror lists."""
        return self.uri.startswith(_SCHEMES) and "main" in self.components


def mirrors(apt: Path) -> tuple[Mirror, ...]:
    """Every enabled source of binary packages below the folder, in apt's own order."""
    files = [apt / "sources.list", *sorted((apt / "sources.list.d").glob("*"))]
    found: list[Mirror] = []
    for file in files:
        if file.suffix == ".sources":
            found += stanzas(file.read_text(encoding="utf-8"))
        elif file.suffix == ".list" and file.exists():
            found += lines(file.read_text(encoding="utf-8"))
    return tuple(found)


def mirror_of(suite: str, known: Iterable[Mirror]) -> Mirror:
    """The first of them that has the suite; raises CannotBuild where none has."""
    for mirror in known:
        if mirror.suite == suite and mirror.debootstraps:
            return mirror
    raise CannotBuild(
        f"None of apt's sources in {APT} has the Debian suite {suite!r}, of which the base image is made.",
        f"Add a source of {suite} to {APT}/sources.list.d, or name an image: BASE_IMAGE=debian-with-python make images",
    )


def proxy() -> str:
    """The proxy that apt reaches its mirrors through, empty where it needs none."""
    command = ["apt-config", "shell", "proxy", "Acquire::http::Proxy"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return "".join(shlex.split(printed)).removeprefix("proxy=")


def stanzas(text: str) -> Iterator[Mirror]:
    """The sources of a deb822 file (`*.sources`): fields by name, blank lines between stanzas."""
    for stanza in _paragraphs(text):
        if "deb" not in stanza.get("types", "").split() or stanza.get("enabled", "yes").lower() not in _YES:
            continue
        for uri in stanza.get("uris", "").split():
            for suite in stanza.get("suites", "").split():
                yield _mirror(uri, suite, stanza.get("components", "").split(), stanza)


def lines(text: str) -> Iterator[Mirror]:
    """The sources of a one-line file (`*.list`): `deb [option=value …] URI suite component…`."""
    for line in text.splitlines():
        kind, _, rest = line.partition("#")[0].strip().partition(" ")
        if kind != "deb":
            continue
        options: dict[str, str] = {}
        if rest.lstrip().startswith("["):
            inside, _, rest = rest.lstrip()[1:].partition("]")
            options = {name.lower(): value for name, _, value in (part.partition("=") for part in shlex.split(inside))}
        uri, suite, *components = [*rest.split(), "", ""]
        yield _mirror(uri, suite, components, options)


def _mirror(uri: str, suite: str, components: Iterable[str], options: Mapping[str, str]) -> Mirror:
    signed_by = options.get("signed-by", "")
    keyring = signed_by if signed_by.startswith("/") else ""  # the other forms: a fingerprint, or the keys themselves
    return Mirror(uri, suite, tuple(filter(None, components)), keyring, options.get("trusted", "").lower() in _YES)


def _paragraphs(text: str) -> Iterator[dict[str, str]]:
    fields: dict[str, str] = {}
    name = ""
    for line in [*text.splitlines(), ""]:
        if line.startswith("#"):
            continue
        if not line.strip():
            yield fields
            fields = {}
        elif line[0].isspace():
            fields[name] = f"{fields.get(name, '')} {line.strip()}"
        else:
            name, _, value = line.partition(":")
            name = name.strip().lower()
            fields[name] = value.strip()
