"""Where the code of an image comes from: version, commit, moment, as labels that anybody can read from outside."""

from __future__ import annotations

import subprocess
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

SOURCE_LABEL = "datacanal.source"
"""The digest of the code in the image, by which a stale image is recognised."""
VERSION_LABEL = "org.opencontainers.image.version"
UNKNOWN = "unknown"
ENVIRONMENT_LABEL = "datacanal.environment"
"""What a Python job finds in the image: `{"python": "3.11", "packages": {…}}`."""
_GOES_IN = ("platform", "images", "requirements", "pyproject.toml")


@dataclass(frozen=True)
class Origin:
    """`epoch_s` is the moment of the commit, so that two builds of one commit say the same."""

    version: str
    revision: str
    epoch_s: int
    source: str

    def labels(self, title: str) -> Mapping[str, str]:
        """The Open Containers annotations of an image with that title."""
        return {
            "org.opencontainers.image.title": title,
            VERSION_LABEL: self.version,
            "org.opencontainers.image.revision": self.revision,
            "org.opencontainers.image.created": datetime.fromtimestamp(self.epoch_s, UTC).isoformat(),
            "org.opencontainers.image.licenses": "Apache-2.0",
            SOURCE_LABEL: self.source,
        }


def origin_of(tree: Path, source: str, environment: Mapping[str, str]) -> Origin:
    """From git where the tree is a checkout. SOURCE_DATE_EPOCH goes before the commit's own moment."""
    version = tomllib.loads((tree / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    commit = _git(tree, "rev-parse", "HEAD")
    changed = _git(tree, "status", "--porcelain", "--", *_GOES_IN)
    moment = environment.get("SOURCE_DATE_EPOCH") or _git(tree, "log", "-1", "--format=%ct") or "0"
    revision = f"{commit}-dirty" if commit and changed else commit or UNKNOWN
    return Origin(version, revision, int(moment), source)


def _git(tree: Path, *arguments: str) -> str:
    """What git prints, empty where this is no checkout or there is no git."""
    try:
        done = subprocess.run(["git", "-C", str(tree), *arguments], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
