"""The tokens that a first start leaves on the machine: one for its administrator, one for each of its sites."""

from __future__ import annotations

from pathlib import Path

from datacanal.configuration import Configuration
from datacanal.control.changes import Change
from datacanal.control.desk import Desk
from datacanal.control.tokens import TENANT, live_tokens, new_token, secret_is_of
from datacanal.domain.access import Principal
from datacanal.homes import write_secret
from datacanal.protocol.public import Role, TokenRequest

_SYSTEM = Principal(tenant=TENANT, name="system", role="admin")


def ensure_first_tokens(desk: Desk, configuration: Configuration) -> None:
    """Make sure that each token file holds a token that works; a file that does is left alone."""
    configuration.home.mkdir(mode=0o700, parents=True, exist_ok=True)
    _ensure_token(desk, configuration.home / "admin.token", "admin", "admin")
    for site in configuration.sites:
        home = configuration.site_home(site.name)
        _ensure_private(home)
        _ensure_token(desk, home / "token", "site", site.name)


def _ensure_token(desk: Desk, file: Path, role: Role, name: str) -> None:
    def ensure(change: Change) -> None:
        known = live_tokens(change.session, role, name, change.clock.now())
        if not secret_is_of(_read(file), known):
            row, secret = new_token(change.clock, _SYSTEM, TokenRequest(name=name, role=role))
            change.session.add(row)
            write_secret(file, f"{secret}\n".encode("ascii"))

    desk.write_now(ensure)


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def _ensure_private(directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    directory.chmod(0o700)
